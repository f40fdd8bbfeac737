#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/tfevents.h"
#include "report/html_report.h"
#include "report/run_log.h"
#include "train/trainer.h"

namespace daybreak {

/// Writes the record of a run into its folder: results.csv, results.json, steps.csv, report.html
/// with its pictures, TensorBoard events. Files are complete after every epoch.
class RunRecorder final : public Observer {
 public:
  /// `resumed_epoch`: rows after it are dropped; 0 for a new run. `layers_text`: describe's table.
  RunRecorder(Session& session, std::string run_dir, std::string layers_text,
              std::int64_t resumed_epoch, std::int64_t resumed_step);

  void on_step(const StepEvent& event) override;
  void on_epoch(const EpochEvent& event) override;
  /// Final files; `status` is "done", "stopped" or "diverged".
  void finish(const TrainingState& state, const std::string& status,
              const std::vector<std::string>& warnings);
  const RunSummary& summary() const { return summary_; }

 private:
  void write_report();
  void write_pictures();
  void draw_found();
  void add_mistakes(const ClassificationResult& result);
  void add_detection(const EpochEvent& event);
  void add_others(const EpochEvent& event);
  void fill_static_parts(const std::string& layers_text);

  Session& session_;
  std::string run_dir_;
  ResultsCsv csv_;
  StepCurve curve_;
  TfEventsWriter events_;
  RunSummary summary_;
  ReportData report_;
  std::vector<FoundSample> samples_;  // of the latest evaluation of a detector
};

/// {"daybreak", "0.1.0"}, {"cpu", "..."}: what results may depend on.
std::vector<std::pair<std::string, std::string>> versions_of(Backend& backend);

/// The grid of augmented training samples: train_batch0.png and `preview`.
Image sample_grid(const Session& session, int phase, int count);

}  // namespace daybreak
