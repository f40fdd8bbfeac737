#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/loader.h"
#include "detect/average_precision.h"
#include "plan/executor.h"
#include "train/find_objects.h"
#include "train/loss_parts.h"

namespace daybreak {

/// How a detector is evaluated: the thresholds of Darknet's mAP.
struct DetectionEvaluateOptions {
  DetectOptions detect = {.conf = 0.005f, .nms = 0.45f, .nms_kind = {}};
  std::int64_t keep_samples = 0;  ///< pictures whose boxes are kept for the report
  std::function<void(std::int64_t done)> progress;  ///< called after every batch
};

/// What was found in one picture; boxes are fractions of it, best first.
struct FoundSample {
  std::int64_t index = 0;  ///< in the split
  std::vector<Detection> found;
};

/// What an evaluation of a detector found.
struct DetectionResult {
  double loss = 0.0;                        ///< the network's own, mean over the pictures
  LossParts parts;                          ///< of the loss, likewise
  DetectionMetrics metrics;                 ///< COCO's; -1 where there is nothing to find
  std::vector<double> voc_all, voc_eleven;  ///< of each class by VOC's two rules; -1 without truth
  std::vector<FoundSample> samples;         ///< of the first pictures
};

/// The box in pixels of its w x h picture.
PixelBox to_pixels(const Box& box, int w, int h);
/// What there is to be found in a sample.
std::vector<TruthBox> truths_of(const Dataset& data, std::int64_t sample);

/// Evaluates `plan` (mode eval; its heads' raw values and the loss kept) over all samples of a
/// loader that neither shuffles nor augments and keeps the last batch. Boxes are compared in the
/// original pictures, after the way back through the network's fit.
DetectionResult evaluate_detections(Executor& executor, PlanId plan, Loader& loader,
                                    const DetectionEvaluateOptions& options);

}  // namespace daybreak
