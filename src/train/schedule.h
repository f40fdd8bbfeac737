#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/specs.h"

namespace daybreak {

/// What a schedule says about one step.
struct Knobs {
  double lr = 0.0;
  double momentum = 0.0;
  int phase = 0;  ///< index into Schedule::phases()
};

/// A value along a curve, with everything resolved.
struct ResolvedRamp {
  double start = 0.0, end = 0.0;
  Curve curve = Curve::constant;
  double power = 2.0;

  double at(double t) const;
  /// What a following phase that does not set the value goes on with.
  double last() const { return curve == Curve::constant ? start : end; }
};

/// A phase with every key filled in and its place in steps [begin_step, end_step).
struct PhasePlan {
  std::int64_t begin_step = 0, end_step = 0;
  double length_steps = 0.0;  ///< n of t = k / n: epochs times steps per epoch, not rounded
  double epochs = 0.0;        ///< the same length in epochs
  ResolvedRamp lr, momentum;
  int batch = 0;  ///< samples of a micro-batch
  int image = 0;  ///< picture side; 0: the network's
  Precision precision = Precision::f32;
  std::vector<TransformSpec> augment;
  std::vector<std::string> freeze;
  OptimizerSpec optimizer;
  bool new_optimizer_type = false;  ///< the slots of the phase before do not fit
  Mark mark;
};

/// Where in the data a step begins.
struct Position {
  std::int64_t epoch = 0;   ///< 0-based
  std::int64_t offset = 0;  ///< samples of this epoch already used
  auto operator<=>(const Position&) const = default;
};

/// One line of `daybreak schedule`.
struct ScheduleRow {
  std::int64_t begin_step = 0, end_step = 0;
  double epochs = 0.0;
  std::string lr, momentum;  ///< "0.065 -> 1.3, linear" or "0.1"
  int batch = 0;
  std::string image;      ///< "" for the network's size
  std::string optimizer;  ///< "sgd"
};

/// The course of a training: a pure function of the step, nothing accumulates.
///
/// Step k of a phase of n steps uses t = k / n: the first step has exactly the start value, the end
/// value belongs to what follows. A phase of E epochs with b steps an epoch has n = E b (not
/// rounded) and ends at step ceil(sum of n - 1e-6); every phase has at least one step.
///
/// The data is a stream of micro-batches: an epoch ends when fewer than `batch` samples remain
/// (last_batch: drop) or none (keep, where its last micro-batch is smaller). A step takes
/// `accumulate` micro-batches, and so may begin in one epoch and end in the next; it belongs to the
/// epoch it begins in. A phase with another batch goes on where the one before stopped.
class Schedule {
 public:
  /// Throws ConfigError when the schedule cannot be: no phases, a phase that does not end after the
  /// one before, no lr, an exponential curve that touches 0, fewer samples than a batch.
  Schedule(const SolverSpec& spec, std::int64_t train_samples);

  std::int64_t total_steps() const { return phases_.back().end_step; }
  /// lr, momentum and phase used by the update of 0-based step `step` < total_steps().
  Knobs at(std::int64_t step) const;
  const std::vector<PhasePlan>& phases() const { return phases_; }

  /// Where step `step` <= total_steps() begins.
  Position position(std::int64_t step) const;
  /// Number of epochs that have at least one step.
  std::int64_t epochs() const { return position(total_steps() - 1).epoch + 1; }
  /// The first step that begins after `epoch`; total_steps() when there is none.
  std::int64_t epoch_end_step(std::int64_t epoch) const;
  /// Steps that begin in `epoch`.
  std::int64_t steps_in_epoch(std::int64_t epoch) const;
  /// Training samples used by the steps before `step`.
  std::int64_t samples_before(std::int64_t step) const;
  std::int64_t total_samples() const { return samples_before(total_steps()); }

  std::vector<ScheduleRow> table() const;

 private:
  /// Where a phase begins in the data.
  struct Start {
    Position position;
    std::int64_t samples = 0;  // used before
  };

  void add_phases(const SolverSpec& spec);
  void add_policy(const SolverSpec& spec);
  void place(PhasePlan& phase, const Length& until);
  int phase_of(std::int64_t step) const;
  std::int64_t micro_batches(std::int64_t samples, int batch) const;
  Position position_in(std::size_t phase, std::int64_t step) const;
  std::int64_t samples_between(std::size_t phase, const Position& end, std::int64_t steps) const;

  std::int64_t samples_ = 0;
  std::int64_t accumulate_ = 1;
  LastBatch last_batch_ = LastBatch::drop;
  PolicySpec policy_;
  std::vector<PhasePlan> phases_;
  std::vector<Start> starts_;  // one a phase
  // Not rounded, of the phases placed so far.
  double sum_steps_ = 0.0, sum_epochs_ = 0.0;
};

}  // namespace daybreak
