#include "train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "train/signals.h"

namespace daybreak {
namespace {

constexpr std::size_t kLossesInMessage = 5;
// A loss this many times the first one is an explosion even while it is finite.
constexpr double kExplosion = 1e4;

}  // namespace

bool length_due(const Length& every, std::int64_t step, std::int64_t steps_per_epoch,
                bool epoch_done, std::int64_t epochs_done) {
  if (every.amount <= 0.0) return false;
  if (every.unit == LengthUnit::epochs && every.amount == std::floor(every.amount)) {
    return epoch_done && epochs_done % static_cast<std::int64_t>(every.amount) == 0;
  }
  const double unit = every.unit == LengthUnit::epochs ? static_cast<double>(steps_per_epoch) : 1.0;
  const double length = std::max(1.0, every.amount * unit);
  const double before = std::floor((static_cast<double>(step) - 1.0) / length + 1e-9);
  return std::floor(static_cast<double>(step) / length + 1e-9) > before;
}

Trainer::Trainer(Session& session, TrainingState state, std::vector<Observer*> observers)
    : session_(session),
      schedule_(session.schedule()),
      recipe_(session.executor()),
      state_(std::move(state)),
      observers_(std::move(observers)) {
  if (state_.step == 0) session_.averages().start();
  if (session_.is_detector()) {
    eval_loader_ = std::make_unique<Loader>(session.validation(), session.eval_loader());
  } else {
    evaluator_ = std::make_unique<Evaluator>(session.executor(), session.eval_plan(),
                                             session.validation(), session.eval_loader());
  }
}

double Trainer::elapsed() {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - clock_).count();
  clock_ = now;
  return seconds;
}

std::int64_t Trainer::epoch() const {
  const std::int64_t last = std::max<std::int64_t>(0, schedule_.total_steps() - 1);
  return schedule_.position(std::min(state_.step, last)).epoch + 1;
}

TrainingEnd Trainer::run() {
  clock_ = std::chrono::steady_clock::now();
  bool epoch_begins = true;
  while (state_.step < schedule_.total_steps()) {
    if (stop_requested()) return TrainingEnd::stopped;
    if (epoch_begins) {
      for (Observer* observer : observers_) observer->on_epoch_begin(state_, epoch());
    }
    knobs_ = schedule_.at(state_.step);
    if (knobs_.phase != phase_) enter_phase(knobs_.phase);
    const std::int64_t current = epoch();
    steps(steps_to_queue());
    const bool last = state_.step == schedule_.total_steps();
    epoch_begins = last || epoch() != current;
    finish(epoch_begins);
  }
  return TrainingEnd::done;
}

void Trainer::enter_phase(int phase) {
  const PhaseRuntime& runtime = session_.phase(phase);
  Executor& executor = session_.executor();
  executor.set_optimizer(runtime.optimizer);
  executor.set_groups(runtime.groups);
  executor.set_loss_scaling(runtime.loss_scaling);
  if (phase_ == -1) restore_scalars();
  feed(runtime);
  const Position position = schedule_.position(state_.step);
  feeder_->start(position.epoch, position.offset);
  phase_ = phase;
}

// Where the device can make the batches, and the pictures fit beside the network, it does.
void Trainer::feed(const PhaseRuntime& runtime) {
  const Dataset& data = session_.data().train;
  Executor& executor = session_.executor();
  const Graph& graph = executor.graph();
  const bool labels_only = graph.input(InputRole::labels) != kNone &&
                           graph.input(InputRole::target) == kNone &&
                           graph.input(InputRole::boxes) == kNone;
  const std::optional<BatchRecipe> recipe = batch_recipe(data, runtime.loader);
  if (labels_only && recipe && executor.backend().batch_maker(*recipe)) {
    if (!resident_) resident_ = ResidentData::if_small(data, executor.backend());
    if (resident_) {
      feeder_ = make_resident_feeder(*resident_, data, runtime.loader, *recipe, executor);
      return;
    }
  }
  feeder_ = make_host_feeder(data, runtime.loader);
}

// A resumed run goes on with the optimizer's count and the loss scale of its checkpoint.
void Trainer::restore_scalars() {
  StepScalars scalars = session_.executor().read_scalars();
  scalars.update = state_.update;
  scalars.skipped = 0;
  if (scalars.guarded != 0 && state_.loss_scale > 0.0f) {
    scalars.loss_scale = state_.loss_scale;
    scalars.good_updates = state_.good_updates;
  }
  session_.executor().restore_scalars(scalars);
}

// On the CPU every step is looked at before the next begins. A device is given many at once, up to
// the next one after which somebody wants the weights or another phase begins.
int Trainer::steps_to_queue() {
  if (!session_.backend().can_record()) return 1;
  TrainingState ahead;
  ahead.step = state_.step;
  const std::int64_t ends = schedule_.epoch_end_step(schedule_.position(state_.step).epoch);
  int count = 0;
  while (count < StepRunner::most()) {
    ++count;
    const std::int64_t done = ++ahead.step;
    if (done == ends || done == schedule_.total_steps()) break;
    if (schedule_.at(done).phase != phase_ || evaluation_due(done, /*epoch_done=*/false)) break;
    if (std::any_of(observers_.begin(), observers_.end(),
                    [&](const Observer* observer) { return observer->wants_weights(ahead); })) {
      break;
    }
  }
  return count;
}

void Trainer::steps(int count) {
  const SolverSpec& solver = session_.solver();
  std::vector<Knobs> knobs;
  for (int i = 0; i < count; ++i) {
    knobs.push_back(schedule_.at(state_.step + i));
    StepKnobs step;
    step.lr = knobs.back().lr;
    step.momentum = knobs.back().momentum;
    step.micro_batches = solver.accumulate;
    step.clip_norm = solver.clip_norm;
    step.step = static_cast<std::uint64_t>(state_.step + i);
    recipe_.queue(session_.phase(phase_).plans, *feeder_, step);
    // In the order of the steps, which a device takes one after the other.
    session_.averages().after_step(state_.step + i + 1, schedule_.total_steps());
  }
  const std::vector<StepReport> reports = recipe_.collect();
  for (int i = 0; i < count; ++i) {
    knobs_ = knobs[static_cast<std::size_t>(i)];
    const StepReport& report = reports[static_cast<std::size_t>(i)];
    try {
      recipe_.check(report);
    } catch (const DivergenceError& error) {
      diverged(error.what());
    }
    guard(report);
    note(report, knobs_, /*settled=*/i + 1 == count);
  }
}

void Trainer::note(const StepReport& report, const Knobs& knobs, bool settled) {
  const std::int64_t current = epoch();
  ++state_.step;
  state_.update = report.update;
  if (session_.executor().scalars().guarded != 0) {
    state_.loss_scale = report.loss_scale;
    state_.good_updates = report.good_updates;
  }
  state_.samples += report.samples;
  state_.epoch_loss += report.loss;
  state_.epoch_parts += report.parts;
  state_.epoch_steps += 1;
  state_.epoch_correct += report.correct;
  state_.epoch_samples += report.samples;
  if (state_.step == 1) state_.first_loss = report.loss;
  state_.last_losses.push_back(report.loss);
  if (state_.last_losses.size() > kLossesInMessage) state_.last_losses.pop_front();
  const double seconds = elapsed();
  state_.seconds += seconds;
  state_.epoch_seconds += seconds;
  for (Observer* observer : observers_) {
    observer->on_step({state_, knobs, report, current, settled});
  }
}

void Trainer::guard(const StepReport& report) const {
  const double limit = kExplosion * std::max(1.0, state_.first_loss);
  if (state_.step > 0 && report.loss > limit) {
    diverged(fmt::format("loss exploded to {:.4g} (it began at {:.4g})", report.loss,
                         state_.first_loss));
  }
}

void Trainer::diverged(const std::string& what) const {
  std::string losses;
  for (double loss : state_.last_losses) losses += fmt::format(" {:.4g}", loss);
  throw DivergenceError(
      fmt::format("daybreak: error: {} at step {} (epoch {}, lr {:.4g}); last losses:{}; the last "
                  "good checkpoint is kept; try a lower lr (daybreak lr_find suggests one)",
                  what, state_.step + 1, epoch(), knobs_.lr, losses.empty() ? " none" : losses));
}

bool Trainer::evaluation_due(std::int64_t step, bool epoch_done) const {
  if (session_.validation().empty()) return false;
  if (step == schedule_.total_steps()) return true;
  const std::int64_t done = schedule_.position(step - 1).epoch;
  return length_due(session_.solver().evaluate_every, step, schedule_.steps_in_epoch(done),
                    epoch_done, done + 1);
}

ClassificationResult Trainer::evaluate_views(Views views, int keep_mistakes) {
  EvaluateOptions options;
  options.views = views;
  options.keep_mistakes = keep_mistakes;
  options.progress = [this](std::int64_t done) { say_evaluated(done); };
  return evaluator_->evaluate(options);
}

DetectionResult Trainer::evaluate_boxes(int keep_samples) {
  DetectionEvaluateOptions options;
  options.keep_samples = keep_samples;
  options.progress = [this](std::int64_t done) { say_evaluated(done); };
  return evaluate_detections(session_.executor(), session_.eval_plan(), *eval_loader_, options);
}

double Trainer::evaluate_classifier(EpochEvent& event) {
  static constexpr int kMistakes = 24;
  result_ = evaluate_views(Views::none, kMistakes);
  event.result = &result_;
  event.row.val_loss = result_.loss;
  event.row.val_top1 = result_.top1;
  event.row.val_top5 = result_.top5;
  return result_.top1;
}

double Trainer::evaluate_detector(EpochEvent& event) {
  static constexpr int kPictures = 8;
  detection_ = evaluate_boxes(kPictures);
  event.detection = &detection_;
  event.row.val_loss = detection_.loss;
  event.row.val_box = detection_.parts.box;
  event.row.val_objectness = detection_.parts.objectness;
  event.row.val_classes = detection_.parts.classes;
  event.row.val_map50 = detection_.metrics.map50;
  event.row.val_map = detection_.metrics.map;
  return detection_.metrics.map50;
}

// Views cost several evaluations, so they wait for the end.
void Trainer::evaluate_others(EpochEvent& event) {
  const Views views = session_.solver().tta;
  const bool with_views = views != Views::none && state_.step == schedule_.total_steps();
  if (with_views) event.others.tta = evaluate_views(views).top1;
  if (!session_.averages().has_ema()) return;
  const WeightAverages::EmaInPlace mean(session_.averages());
  event.others.ema =
      session_.is_detector() ? evaluate_boxes().metrics.map50 : evaluate_views(Views::none).top1;
  if (with_views) event.others.ema_tta = evaluate_views(views).top1;
}

void Trainer::say_evaluated(std::int64_t done) {
  const std::int64_t total = session_.validation().size();
  for (Observer* observer : observers_) observer->on_evaluate(done, total);
}

void Trainer::evaluate_now(EpochEvent& event) {
  const double metric =
      session_.is_detector() ? evaluate_detector(event) : evaluate_classifier(event);
  evaluate_others(event);
  const bool by_loss = session_.solver().checkpoint.best == BestMetric::loss;
  const double value = by_loss ? -event.row.val_loss : metric;
  event.best = state_.best_epoch == 0 || value > state_.best_value;
  if (event.best) {
    state_.best_value = value;
    state_.best_metric = metric;
    state_.best_epoch = event.row.epoch;
  }
  state_.seconds += elapsed();
}

void Trainer::finish(bool epoch_done) {
  const bool evaluates = evaluation_due(state_.step, epoch_done);
  if (!epoch_done && !evaluates) return;
  EpochEvent event{state_, {}, kNoValue, nullptr, nullptr, {}, false, epoch_done};
  event.row.epoch = schedule_.position(state_.step - 1).epoch + 1;
  event.row.step = state_.step;
  event.row.samples = state_.samples;
  event.row.lr = knobs_.lr;
  event.row.momentum = knobs_.momentum;
  if (state_.epoch_steps > 0) {
    const double steps = static_cast<double>(state_.epoch_steps);
    const LossParts parts = state_.epoch_parts.times(1.0 / steps);
    event.row.train_loss = state_.epoch_loss / steps;
    event.row.train_box = parts.box;
    event.row.train_objectness = parts.objectness;
    event.row.train_classes = parts.classes;
    event.row.images_per_second =
        static_cast<double>(state_.epoch_samples) / std::max(state_.epoch_seconds, 1e-9);
    if (!session_.is_detector()) {
      event.train_top1 = static_cast<double>(state_.epoch_correct) /
                         static_cast<double>(std::max<std::int64_t>(1, state_.epoch_samples));
    }
  }
  if (evaluates) evaluate_now(event);
  event.row.seconds = state_.seconds;
  if (epoch_done) {
    state_.epoch_loss = state_.epoch_seconds = 0.0;
    state_.epoch_parts = {0.0, 0.0, 0.0};
    state_.epoch_steps = state_.epoch_correct = state_.epoch_samples = 0;
  }
  for (Observer* observer : observers_) observer->on_epoch(event);
  state_.seconds += elapsed();
}

}  // namespace daybreak
