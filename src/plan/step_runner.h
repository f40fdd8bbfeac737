#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <tuple>
#include <vector>

#include "plan/executor.h"
#include "plan/recorder.h"

namespace daybreak {

/// One batch of a training step: its plan, and its place among the step's batches.
struct StepBatch {
  PlanId plan = -1;
  bool first = true;  ///< of the step
  bool last = true;   ///< the update follows
};

/// Queues training steps and reads nothing between them. Everything that is the same from step to
/// step (the batch's making on the device, both passes, sums, norm, update, the record) is recorded
/// once a plan and replayed where the backend can, and run kernel by kernel elsewhere; what changes
/// (rates, step, place in the data) lies in the scalars, which are sent before every batch.
class StepRunner {
 public:
  explicit StepRunner(Executor& executor);

  /// Queues a batch with executor.scalars() as they are now. Its inputs are in their places, or
  /// `fill` queues the kernels that bring them there (recorded with the rest).
  void queue(const StepBatch& batch, const std::function<void()>& fill = {});
  /// Steps queued since the last read(); at most most().
  int queued() const { return queued_; }
  /// How many steps may be queued before they must be read.
  static constexpr int most() { return static_cast<int>(kStepRecords); }
  /// Waits for the queued steps and says what each of them did; executor.scalars() are up to date
  /// then.
  std::vector<StepRecord> read();
  /// Recordings made so far: one a plan, as long as optimizer and groups stay.
  int recorded() const { return recorder_.recorded(); }

 private:
  using Key = std::tuple<PlanId, bool, bool>;

  void run(const StepBatch& batch, const std::function<void()>& fill);

  Executor& executor_;
  MemoryPtr ring_;
  KernelPtr first_, next_, end_;
  Recorder recorder_;
  std::map<Key, Recorder::Known> known_;
  int changes_ = -1;
  int queued_ = 0;
};

}  // namespace daybreak
