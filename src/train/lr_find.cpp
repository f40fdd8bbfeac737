#include "train/lr_find.h"

#include <fmt/format.h>

#include "train/supervised.h"
#include "train/weights.h"

namespace daybreak {
namespace {

// Everything a step changes, put back by the destructor-free restore().
class Snapshot {
 public:
  explicit Snapshot(Executor& executor)
      : executor_(executor),
        digest_(weights_digest(executor)),
        weights_(read_weights(executor)),
        slots_(read_slots(executor)),
        scalars_(executor.read_scalars()) {}

  void restore() {
    write_weights(executor_, "snapshot", weights_, /*partial=*/false);
    write_slots(executor_, "snapshot", slots_);
    executor_.restore_scalars(scalars_);
    DAYBREAK_ASSERT(weights_digest(executor_) == digest_);
  }

 private:
  Executor& executor_;
  std::string digest_;
  std::vector<NamedTensor> weights_, slots_;
  StepScalars scalars_;
};

std::string end_note(const LrRangeRecorder& record) {
  switch (record.state()) {
    case LrRangeState::exploded:
      return fmt::format("stopped after {} of {} steps: the loss rose above {:g} times its best",
                         record.points(), record.options().steps, record.options().stop_factor);
    case LrRangeState::non_finite:
      return fmt::format("stopped after {} of {} steps: the loss was not finite", record.points(),
                         record.options().steps);
    default:
      return "";
  }
}

}  // namespace

LrFindResult find_lr(Session& session, const LrRangeOptions& options,
                     const std::function<void(int done)>& progress) {
  check_lr_range(options);
  Executor& executor = session.executor();
  const PhaseRuntime& phase = session.phase(0);
  executor.set_optimizer(phase.optimizer);
  executor.set_groups(phase.groups);
  executor.set_loss_scaling(phase.loss_scaling);
  Snapshot snapshot(executor);
  LoaderOptions loader_options = phase.loader;
  // Its own stream of batches: training afterwards sees what it would have seen anyway.
  loader_options.seed ^= static_cast<std::uint64_t>(Purpose::lr_find) << 56;
  const std::unique_ptr<BatchFeeder> feeder =
      make_host_feeder(session.data().train, loader_options);
  feeder->start(0, 0);
  Supervised recipe(executor);
  LrRangeRecorder record(options);
  while (record.state() == LrRangeState::running) {
    StepKnobs knobs;
    knobs.lr = record.next_lr();
    knobs.momentum = session.schedule().at(0).momentum;
    knobs.micro_batches = session.solver().accumulate;
    knobs.clip_norm = session.solver().clip_norm;
    knobs.step = static_cast<std::uint64_t>(record.points());
    double loss = 0.0;
    try {
      loss = recipe.step(phase.plans, *feeder, knobs).loss;
    } catch (const DivergenceError&) {
      loss = std::numeric_limits<double>::quiet_NaN();
    }
    record.record(loss);
    progress(record.points());
  }
  snapshot.restore();
  LrSuggestions suggestions = suggest_lr(record.lr(), record.smoothed(), options.steps);
  std::string note = end_note(record);
  return {std::move(record), std::move(suggestions), std::move(note)};
}

}  // namespace daybreak
