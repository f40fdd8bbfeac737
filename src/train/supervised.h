#pragma once

#include <cstdint>
#include <vector>

#include "data/loader.h"
#include "plan/executor.h"

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
  std::int64_t correct = 0;  ///< top-1, in training mode
  std::int64_t samples = 0;
  double gradient_norm = 0.0;  ///< before clipping
  bool skipped = false;        ///< the gradients were not finite: no weight was changed
};

/// One step of supervised training: batches through the network and back, then an update.
class Supervised {
 public:
  explicit Supervised(Executor& executor) : executor_(executor) {}

  /// Throws DivergenceError, before any weight is touched, when the loss or the gradient norm is
  /// not finite; the text says what and its value, the caller adds step and place. Where the loss
  /// is scaled, gradients may overflow: such steps are skipped, and only many in a row are an
  /// error.
  StepReport step(const StepPlans& plans, Loader& loader, const StepKnobs& knobs);

 private:
  void check_norm(StepReport& report);
  void forward_backward(PlanId plan, const Batch& batch, StepReport& report);

  // One-hot targets in the prediction's shape, for losses that compare with numbers.
  void upload_targets(PlanId plan, const Batch& batch);

  Executor& executor_;
  int skipped_in_a_row_ = 0;
  std::vector<float> counts_, targets_;
};

}  // namespace daybreak
