#include "plan/step_runner.h"

#include "core/error.h"

namespace daybreak {

StepRunner::StepRunner(Executor& executor)
    : executor_(executor), recorder_(executor.backend(), "training steps") {
  Backend& backend = executor.backend();
  const DType dtype = executor.param_dtype();
  first_ = backend.step_work(StepWork::first_batch, dtype);
  next_ = backend.step_work(StepWork::next_batch, dtype);
  end_ = backend.step_work(StepWork::end, dtype);
  DAYBREAK_ASSERT(first_ && next_ && end_);
  ring_ = backend.allocate(kStepRecords * sizeof(StepRecord));
}

void StepRunner::run(const StepBatch& batch, const std::function<void()>& fill) {
  const Graph& graph = executor_.graph();
  if (fill) fill();
  executor_.forward(batch.plan);
  executor_.backward(batch.plan);
  Bindings sums;
  sums.x = {executor_.place(batch.plan, graph.loss), executor_.place(batch.plan, graph.topk)};
  sums.scalars = executor_.device_scalars();
  (batch.first ? first_ : next_)->run(sums);
  if (!(batch.first && batch.last)) {
    if (batch.first) {
      executor_.start_accumulation();
    } else {
      executor_.accumulate_gradients();
    }
    if (batch.last) executor_.finish_accumulation();
  }
  if (!batch.last) return;
  executor_.queue_update();
  Bindings end;
  end.y = ring_->data();
  end.scalars = executor_.device_scalars();
  end_->run(end);
}

void StepRunner::queue(const StepBatch& batch, const std::function<void()>& fill) {
  DAYBREAK_ASSERT(queued_ < most());
  if (executor_.changes() != changes_) {
    known_.clear();
    changes_ = executor_.changes();
  }
  executor_.send_scalars();
  recorder_.queue(known_[{batch.plan, batch.first, batch.last}], [&] { run(batch, fill); });
  if (!batch.last) return;
  executor_.count_update();
  ++queued_;
}

std::vector<StepRecord> StepRunner::read() {
  std::vector<StepRecord> ring(kStepRecords), records;
  const StepScalars& scalars = executor_.read_scalars();
  executor_.backend().copy_out(ring.data(), ring_->data(), ring.size() * sizeof(ring[0]));
  for (std::uint64_t u = scalars.update - static_cast<std::uint64_t>(queued_); u < scalars.update;
       ++u) {
    records.push_back(ring[(u - 1) % kStepRecords]);
  }
  queued_ = 0;
  return records;
}

}  // namespace daybreak
