#include "train/progress_observer.h"

#include <cmath>

namespace daybreak {

void ProgressObserver::on_epoch_begin(const TrainingState& state, std::int64_t epoch) {
  const std::int64_t epochs = schedule_.position(schedule_.total_steps() - 1).epoch + 1;
  const std::int64_t steps = schedule_.steps_in_epoch(epoch - 1);
  steps_before_ = state.step - state.epoch_steps;
  seconds_before_ = state.seconds - state.epoch_seconds;
  progress_.begin_epoch(static_cast<int>(epoch), static_cast<int>(epochs), steps, state.samples,
                        schedule_.total_samples());
}

void ProgressObserver::on_step(const StepEvent& event) {
  const TrainingState& state = event.state;
  const double count = static_cast<double>(std::max<std::int64_t>(1, state.epoch_samples));
  const double steps = static_cast<double>(std::max<std::int64_t>(1, state.epoch_steps));
  const Metric metrics[] = {{"loss", state.epoch_loss / steps},
                            {"acc", static_cast<double>(state.epoch_correct) / count}};
  const std::span<const Metric> all = metrics;
  progress_.step(state.step - steps_before_, state.samples, detects_ ? all.first(1) : all,
                 event.knobs.lr);
}

void ProgressObserver::on_evaluate(std::int64_t done, std::int64_t total) {
  if (!evaluating_) progress_.begin_task("evaluating", total, "img");
  evaluating_ = true;
  progress_.task(done);
}

void ProgressObserver::on_epoch(const EpochEvent& event) {
  if (evaluating_) progress_.end_task();
  evaluating_ = false;
  if (!event.epoch_done) return;
  const Metric metrics[] = {{"loss", event.row.train_loss},
                            {"acc", event.train_top1},
                            {"val loss", event.row.val_loss},
                            {"val acc", event.row.val_top1},
                            {"ema acc", event.others.ema}};
  const Metric found[] = {
      {"loss", event.row.train_loss},           {"box", event.row.train_box},
      {"object", event.row.train_objectness},   {"class", event.row.train_classes},
      {"val loss", event.row.val_loss},         {"val box", event.row.val_box},
      {"val object", event.row.val_objectness}, {"val class", event.row.val_classes},
      {"map50", event.row.val_map50},           {"map", event.row.val_map},
      {"ema map50", event.others.ema}};
  EpochSummary summary;
  summary.metrics = metrics;
  if (detects_) summary.metrics = found;
  if (std::isnan(event.others.ema))
    summary.metrics = summary.metrics.first(summary.metrics.size() - 1);
  summary.images_per_second = event.row.images_per_second;
  summary.seconds = event.row.seconds - seconds_before_;
  summary.best = event.best;
  progress_.end_epoch(summary);
}

}  // namespace daybreak
