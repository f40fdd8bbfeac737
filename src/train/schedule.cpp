#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "train/curves.h"

namespace daybreak {
namespace {

// A border this little above a whole step is rounding of the sum, not one more step.
constexpr double kBorderSlack = 1e-6;
// Steps and samples stay exact in a double up to here.
constexpr double kMaxSteps = 1e15;
constexpr double kDefaultMomentum = 0.9;

const char* unit_suffix(LengthUnit unit) {
  return unit == LengthUnit::epochs ? "e" : "s";
}

void check_curve(const ResolvedRamp& ramp, const char* key, const Mark& mark) {
  if (ramp.curve == Curve::exponential && (ramp.start <= 0.0 || ramp.end <= 0.0)) {
    throw ConfigError(mark, fmt::format("\"{}\" goes from {} to {}, but an exponential curve needs "
                                        "both above 0 (use cosine or polynomial to end at 0)",
                                        key, ramp.start, ramp.end));
  }
}

/// The ramp of a phase: what it sets, or the last value of the phase before.
ResolvedRamp resolve(const std::optional<Ramp>& given, const ResolvedRamp& before, Curve curve,
                     double power) {
  if (!given) return {before.last(), before.last(), Curve::constant, power};
  if (!given->end) return {given->start, given->start, Curve::constant, power};
  return {given->start, *given->end, curve, power};
}

const char* optimizer_name(OptimizerType type) {
  static constexpr std::array kNames = {"sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string ramp_text(const ResolvedRamp& ramp) {
  if (ramp.start == ramp.last()) return fmt::format("{:.6g}", ramp.start);
  std::string text =
      fmt::format("{:.6g} -> {:.6g}, {}", ramp.start, ramp.end, to_string(ramp.curve));
  if (ramp.curve == Curve::polynomial) text += fmt::format(" {:.6g}", ramp.power);
  return text;
}

}  // namespace

double ResolvedRamp::at(double t) const {
  return curve_value(curve, start, end, t, power);
}

Schedule::Schedule(const SolverSpec& spec, std::int64_t train_samples)
    : samples_(train_samples),
      accumulate_(std::max(1, spec.accumulate)),
      last_batch_(spec.last_batch),
      policy_(spec.policy) {
  if (policy_.kind == PolicyKind::none) {
    add_phases(spec);
  } else {
    add_policy(spec);
  }
}

void Schedule::add_phases(const SolverSpec& spec) {
  if (spec.phases.empty()) {
    throw ConfigError(spec.mark,
                      "the solver has no phases, one_cycle, sgdr or policy, so there is "
                      "nothing to train");
  }
  PhasePlan phase;
  phase.batch = spec.batch;
  phase.precision = spec.precision;
  phase.augment = spec.augment;
  phase.optimizer = spec.optimizer;
  phase.freeze = spec.freeze;
  phase.momentum.start = phase.momentum.end = kDefaultMomentum;
  Curve lr_curve = Curve::linear;
  std::optional<Curve> momentum_curve;
  bool lr_known = false;
  for (const PhaseSpec& given : spec.phases) {
    lr_known = lr_known || given.lr.has_value();
    if (!lr_known) throw ConfigError(given.mark, "the first phase must set \"lr\"");
    if (given.curve) lr_curve = *given.curve;
    if (given.momentum_curve) momentum_curve = given.momentum_curve;
    phase.lr = resolve(given.lr, phase.lr, lr_curve, given.power);
    phase.momentum =
        resolve(given.momentum, phase.momentum, momentum_curve.value_or(lr_curve), given.power);
    check_curve(phase.lr, "lr", given.mark);
    check_curve(phase.momentum, "momentum", given.mark);
    phase.new_optimizer_type =
        !phases_.empty() && given.optimizer && given.optimizer->type != phase.optimizer.type;
    if (given.optimizer) phase.optimizer = *given.optimizer;
    if (given.batch) phase.batch = *given.batch;
    if (given.image) phase.image = *given.image;
    if (given.precision) phase.precision = *given.precision;
    if (given.augment) phase.augment = *given.augment;
    if (given.freeze) phase.freeze = *given.freeze;
    phase.mark = given.mark;
    place(phase, given.until);
  }
}

void Schedule::add_policy(const SolverSpec& spec) {
  const bool needs_every = policy_.kind == PolicyKind::step;
  if (needs_every && policy_.every < 1) {
    throw ConfigError(spec.mark, fmt::format("\"every\" of the step policy must be at least 1, "
                                             "found {}",
                                             policy_.every));
  }
  PhasePlan phase;
  phase.batch = spec.batch;
  phase.precision = spec.precision;
  phase.augment = spec.augment;
  phase.optimizer = spec.optimizer;
  phase.freeze = spec.freeze;
  phase.lr = {policy_.lr, policy_.lr, Curve::constant, 1.0};
  phase.momentum = {policy_.momentum, policy_.momentum, Curve::constant, 1.0};
  phase.mark = spec.mark;
  place(phase, policy_.length);
}

void Schedule::place(PhasePlan& phase, const Length& until) {
  const std::int64_t epoch_batches = phase.batch > 0 ? micro_batches(samples_, phase.batch) : 0;
  if (epoch_batches == 0) {
    throw ConfigError(phase.mark, fmt::format("\"batch\" is {}, but there are only {} training "
                                              "samples (lower it, or say \"last_batch: keep\")",
                                              phase.batch, samples_));
  }
  const double per_epoch = static_cast<double>(epoch_batches) / static_cast<double>(accumulate_);
  const double sum_before = until.unit == LengthUnit::epochs ? sum_epochs_ : sum_steps_;
  const double amount = until.amount - sum_before;
  if (!(amount > 0.0)) {
    const char* unit = unit_suffix(until.unit);
    throw ConfigError(phase.mark,
                      fmt::format("\"until\" is {}{}, but the phase before ends at "
                                  "{:.6g}{} (\"until\" counts from the start of training)",
                                  until.amount, unit, sum_before, unit));
  }
  phase.length_steps = until.unit == LengthUnit::epochs ? amount * per_epoch : amount;
  phase.epochs = phase.length_steps / per_epoch;
  // The sum in the phase's own unit is taken as given, so that rounding does not add up.
  sum_epochs_ = until.unit == LengthUnit::epochs ? until.amount : sum_epochs_ + phase.epochs;
  sum_steps_ = until.unit == LengthUnit::steps ? until.amount : sum_steps_ + phase.length_steps;
  if (!(sum_steps_ < kMaxSteps)) {
    throw ConfigError(phase.mark, fmt::format("\"until\" gives {:.3g} steps, at most {:.0e} are "
                                              "accepted",
                                              sum_steps_, kMaxSteps));
  }
  phase.begin_step = phases_.empty() ? 0 : phases_.back().end_step;
  const auto border = static_cast<std::int64_t>(std::ceil(sum_steps_ - kBorderSlack));
  phase.end_step = std::max(border, phase.begin_step + 1);

  Start start;
  if (!phases_.empty()) {
    start.position = position(phase.begin_step);
    start.samples = samples_before(phase.begin_step);
    if (micro_batches(samples_ - start.position.offset, phase.batch) == 0) {
      start.position = {start.position.epoch + 1, 0};
    }
  }
  phases_.push_back(phase);
  starts_.push_back(start);
}

std::int64_t Schedule::micro_batches(std::int64_t samples, int batch) const {
  return (samples + (last_batch_ == LastBatch::keep ? batch - 1 : 0)) / batch;
}

int Schedule::phase_of(std::int64_t step) const {
  DAYBREAK_ASSERT(step >= 0 && step <= total_steps());
  const auto after =
      std::upper_bound(phases_.begin(), phases_.end(), step,
                       [](std::int64_t s, const PhasePlan& p) { return s < p.end_step; });
  // The end of training belongs to the last phase.
  return static_cast<int>(std::min<std::ptrdiff_t>(
      after - phases_.begin(), static_cast<std::ptrdiff_t>(phases_.size()) - 1));
}

Knobs Schedule::at(std::int64_t step) const {
  const int index = phase_of(step);
  const PhasePlan& phase = phases_[static_cast<std::size_t>(index)];
  if (policy_.kind != PolicyKind::none) {
    // Caffe reads the rate before it counts the iteration, Darknet (the one with burn-in) after.
    const auto it = static_cast<double>(policy_.burn_in > 0 ? step + 1 : step);
    const double lr = policy_lr(policy_, it, static_cast<double>(phase.end_step));
    return {lr, phase.momentum.start, index};
  }
  const double t = static_cast<double>(step - phase.begin_step) / phase.length_steps;
  const double clamped = std::min(t, 1.0);  // a phase held up by others of less than a step
  return {phase.lr.at(clamped), phase.momentum.at(clamped), index};
}

Position Schedule::position_in(std::size_t phase, std::int64_t step) const {
  const PhasePlan& plan = phases_[phase];
  const Position& start = starts_[phase].position;
  const std::int64_t done = (step - plan.begin_step) * accumulate_;
  const std::int64_t head = micro_batches(samples_ - start.offset, plan.batch);
  if (done < head) return {start.epoch, start.offset + done * plan.batch};
  const std::int64_t per_epoch = micro_batches(samples_, plan.batch);
  const std::int64_t rest = done - head;
  return {start.epoch + 1 + rest / per_epoch, rest % per_epoch * plan.batch};
}

Position Schedule::position(std::int64_t step) const {
  return position_in(static_cast<std::size_t>(phase_of(step)), step);
}

std::int64_t Schedule::samples_between(std::size_t phase, const Position& end,
                                       std::int64_t steps) const {
  if (last_batch_ == LastBatch::drop) return steps * accumulate_ * phases_[phase].batch;
  const Position& start = starts_[phase].position;
  return (end.epoch - start.epoch) * samples_ + end.offset - start.offset;
}

std::int64_t Schedule::samples_before(std::int64_t step) const {
  const auto phase = static_cast<std::size_t>(phase_of(step));
  const std::int64_t steps = step - phases_[phase].begin_step;
  return starts_[phase].samples + samples_between(phase, position_in(phase, step), steps);
}

std::int64_t Schedule::epoch_end_step(std::int64_t epoch) const {
  std::int64_t low = 0, high = total_steps();  // the answer lies in [low, high]
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (position(middle).epoch > epoch) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

std::int64_t Schedule::steps_in_epoch(std::int64_t epoch) const {
  return epoch_end_step(epoch) - epoch_end_step(epoch - 1);
}

std::vector<ScheduleRow> Schedule::table() const {
  std::vector<ScheduleRow> rows;
  for (const PhasePlan& phase : phases_) {
    ScheduleRow row;
    row.begin_step = phase.begin_step;
    row.end_step = phase.end_step;
    row.epochs = phase.epochs;
    row.lr = ramp_text(phase.lr);
    if (policy_.kind != PolicyKind::none) {
      row.lr = fmt::format("{:.6g} -> {:.6g}, {} policy", at(phase.begin_step).lr,
                           at(phase.end_step - 1).lr, to_string(policy_.kind));
      if (policy_.burn_in > 0) row.lr += fmt::format(", burn-in {}", policy_.burn_in);
    }
    row.momentum = ramp_text(phase.momentum);
    row.batch = phase.batch;
    row.image = phase.image > 0 ? fmt::to_string(phase.image) : "";
    row.optimizer = optimizer_name(phase.optimizer.type);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace daybreak
