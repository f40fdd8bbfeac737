#pragma once

#include "report/progress.h"
#include "train/trainer.h"

namespace daybreak {

/// Shows the training on the terminal: a bar with ETA, or a line an epoch.
class ProgressObserver final : public Observer {
 public:
  /// `detects`: a detector, which has mAP in place of accuracy.
  ProgressObserver(Progress& progress, const Schedule& schedule, bool detects)
      : progress_(progress), schedule_(schedule), detects_(detects) {}

  void on_epoch_begin(const TrainingState& state, std::int64_t epoch) override;
  void on_step(const StepEvent& event) override;
  void on_evaluate(std::int64_t done, std::int64_t total) override;
  void on_epoch(const EpochEvent& event) override;

 private:
  Progress& progress_;
  const Schedule& schedule_;
  bool detects_ = false;
  std::int64_t steps_before_ = 0;  // the epoch under way
  double seconds_before_ = 0.0;
  bool evaluating_ = false;
};

}  // namespace daybreak
