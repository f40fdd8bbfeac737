#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"
#include "detect/average_precision.h"
#include "report/classification_metrics.h"
#include "report/plot.h"
#include "report/run_log.h"

namespace daybreak {

/// A wrong sample with its picture as the network's input shows it, before normalisation.
struct MistakePicture {
  WrongSample sample;
  Image picture;
  std::string source;  ///< file name, when there is one
};

/// Up to so many classes, boxes are told apart by their colours and a legend, and have their scores
/// for labels; above, labels have the classes' names too.
inline constexpr std::size_t kMostLegendClasses = 8;

/// A picture with its true boxes and those a detector found.
struct FoundPicture {
  Image picture;       ///< with the boxes drawn
  std::string source;  ///< file name
  int truths = 0, found = 0;
};

/// A step at which something changes, such as a phase: a line in the curves over steps.
struct StepMark {
  std::int64_t step = 0;
  std::string label;
};

using KeyValues = std::vector<std::pair<std::string, std::string>>;

/// Everything report.html shows. Empty parts are left out.
struct ReportData {
  std::string run_name;
  std::string net_name;
  std::string data_name;  ///< "Fashion-MNIST, 60,000 train / 10,000 test, 28x28x1"
  std::string status;     ///< as RunSummary::status; "running" in between
  std::string device;     ///< "cpu, 2 threads, f32"
  int planned_epochs = 0;
  double seconds = 0.0;

  std::vector<EpochRow> epochs;
  std::vector<double> train_top1;  ///< one an epoch, or empty
  /// Shares measured beside the plain network, with what they are of.
  std::vector<std::pair<std::string, double>> others;
  std::vector<StepSample> steps;  ///< StepCurve::points()
  std::vector<StepMark> marks;

  std::vector<std::string> class_names;
  std::optional<ClassificationResult> metrics;
  std::optional<DetectionMetrics> detection;  ///< of detectors, in place of `metrics`
  std::string metrics_of;                     ///< "test split, best weights (epoch 5)"
  std::vector<MistakePicture> mistakes;
  std::vector<FoundPicture> found;
  std::optional<Image> training_samples;  ///< picture_grid() of augmented samples

  std::string layers_text;  ///< the table of `describe`
  std::string config_text;  ///< resolved YAML
  KeyValues environment;    ///< machine, versions
  KeyValues timings;
  std::vector<std::string> warnings;
};

/// report.html: one file that needs no network and no script.
std::string html_report(const ReportData& data);

/// Replaces the file atomically; to be called after every epoch.
void write_html_report(const std::string& path, const ReportData& data);

/// The report's curves: losses and accuracy by epoch; loss, lr and momentum by step. Also the parts
/// of results.png.
std::vector<Plot> report_plots(const ReportData& data);

/// The mistakes as one picture with captions: mistakes.png. Empty (w = 0) without mistakes.
Image mistakes_picture(const ReportData& data);

/// "data:image/png;base64,...".
std::string png_data_uri(const Image& image);

}  // namespace daybreak
