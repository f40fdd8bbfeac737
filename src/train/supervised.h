#pragma once

#include <cstdint>
#include <vector>

#include "plan/step_runner.h"
#include "train/batch_feeder.h"
#include "train/loss_parts.h"

namespace daybreak {

/// The values of the schedule that a step uses.
struct StepKnobs {
  double lr = 0.0;
  double momentum = 0.0;
  int micro_batches = 1;   ///< batches per update
  double clip_norm = 0.0;  ///< 0: none
  std::uint64_t step = 0;  ///< 0-based step of the run
};

/// Plans of a training step for pictures of one size: `partial` takes the smaller last batch of an
/// epoch (last_batch: keep).
struct SizePlans {
  int height = 0, width = 0;
  PlanId full = -1;
  PlanId partial = -1;
};

/// Plans of a training step, one entry for each size that pictures may have.
using StepPlans = std::vector<SizePlans>;

/// What a step did.
struct StepReport {
  double loss = 0.0;         ///< mean over the step's samples
  LossParts parts;           ///< of a detector's loss, where plans keep the heads' raw values
  std::int64_t correct = 0;  ///< top-1, in training mode
  std::int64_t samples = 0;
  double gradient_norm = 0.0;  ///< before clipping
  bool skipped = false;        ///< the gradients were not finite: no weight was changed
  std::uint64_t update = 1;    ///< number of the next update, skipped ones not counted
  float loss_scale = 1.0f;     ///< of the next step
  std::uint32_t good_updates = 0;
};

/// Supervised training: batches through the network and back, then an update. Steps are queued on
/// the backend and say later what they did.
class Supervised {
 public:
  explicit Supervised(Executor& executor)
      : executor_(executor), runner_(executor), parted_loss_(executor.graph()) {}

  /// Queues a step; at most StepRunner::most() before collect().
  void queue(const StepPlans& plans, BatchFeeder& feeder, const StepKnobs& knobs);
  /// Waits for the queued steps and reports them in order.
  std::vector<StepReport> collect();
  /// Throws DivergenceError when the loss or the gradient norm is not finite; no weight has been
  /// touched since then. The text says what and its value, the caller adds step and place. Where
  /// the loss is scaled, gradients may overflow: such steps are skipped, and only many in a row are
  /// an error. To be called for every report, in order.
  void check(const StepReport& report);
  /// All three for one step.
  StepReport step(const StepPlans& plans, BatchFeeder& feeder, const StepKnobs& knobs);

  const StepRunner& runner() const { return runner_; }

 private:
  void upload(PlanId plan, const Batch& batch);

  // Of the batch that has just run; unknown unless the plan keeps what they are computed from.
  LossParts parts_of(PlanId plan, const Batch& batch);

  // One-hot targets in the prediction's shape, for losses that compare with numbers.
  void upload_targets(PlanId plan, const Batch& batch);

  Executor& executor_;
  StepRunner runner_;
  std::vector<std::int64_t> samples_;  // of the queued steps
  std::vector<LossParts> parts_;       // likewise
  std::uint64_t first_update_ = 1;     // of them
  int skipped_in_a_row_ = 0;
  std::vector<float> targets_;
  PartedLoss parted_loss_;
  std::vector<Shape> head_shapes_;
  std::vector<std::vector<float>> head_values_;
};

}  // namespace daybreak
