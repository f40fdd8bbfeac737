#include "train/checkpoints.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "train/signals.h"
#include "train/weights.h"

namespace daybreak {
namespace {

constexpr const char* kFormat = "daybreak-checkpoint 1";

// Of the epoch under way, where they are known.
constexpr std::pair<const char*, double LossParts::*> kEpochParts[] = {
    {"epoch_box", &LossParts::box},
    {"epoch_objectness", &LossParts::objectness},
    {"epoch_classes", &LossParts::classes}};

std::string text_of(const std::deque<double>& values) {
  std::string text;
  for (double value : values) text += (text.empty() ? "" : " ") + format_float(value);
  return text;
}

std::deque<double> numbers_of(const std::string& text) {
  std::deque<double> values;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (const auto value = parse_double(text.substr(at, end - at))) values.push_back(*value);
    at = end + 1;
  }
  return values;
}

// Typed access to the string map of a file; a missing or damaged entry is a DataError.
class MetaReader {
 public:
  explicit MetaReader(const CheckpointData& data) : data_(data) {}

  const std::string& text(const char* key) const {
    const auto found = data_.meta.find(key);
    if (found == data_.meta.end()) {
      throw DataError(data_.path, fmt::format("is no checkpoint of a training: \"{}\" is missing; "
                                              "weights alone can be given with --init",
                                              key));
    }
    return found->second;
  }
  bool has(const char* key) const { return data_.meta.contains(key); }
  std::int64_t integer(const char* key) const {
    const auto value = parse_int(text(key));
    if (!value) throw DataError(data_.path, fmt::format("\"{}\" is not a number", key));
    return *value;
  }
  double number(const char* key) const {
    const auto value = parse_double(text(key));
    if (!value) throw DataError(data_.path, fmt::format("\"{}\" is not a number", key));
    return *value;
  }

 private:
  const CheckpointData& data_;
};

}  // namespace

CheckpointData checkpoint_of(Session& session, const TrainingState& state,
                             const std::string& config) {
  CheckpointData data;
  data.tensors = read_weights(session.executor());
  for (NamedTensor& tensor : read_slots(session.executor())) {
    data.tensors.push_back(std::move(tensor));
  }
  for (NamedTensor& tensor : session.averages().read()) data.tensors.push_back(std::move(tensor));
  auto& meta = data.meta;
  meta["format"] = kFormat;
  meta["step"] = std::to_string(state.step);
  meta["update"] = std::to_string(state.update);
  meta["samples"] = std::to_string(state.samples);
  meta["seconds"] = format_float(state.seconds);
  meta["epoch_loss"] = format_float(state.epoch_loss);
  for (const auto& [key, part] : kEpochParts) {
    const double value = state.epoch_parts.*part;
    if (state.epoch_steps > 0 && std::isfinite(value)) meta[key] = format_float(value);
  }
  meta["epoch_steps"] = std::to_string(state.epoch_steps);
  meta["epoch_correct"] = std::to_string(state.epoch_correct);
  meta["epoch_samples"] = std::to_string(state.epoch_samples);
  meta["epoch_seconds"] = format_float(state.epoch_seconds);
  meta["best_value"] = format_float(state.best_value);
  meta["best_top1"] = format_float(state.best_metric);  // or map50; the name is that of format 1
  meta["best_epoch"] = std::to_string(state.best_epoch);
  if (state.loss_scale > 0.0f) {
    meta["loss_scale"] = format_float(state.loss_scale);
    meta["good_updates"] = std::to_string(state.good_updates);
  }
  meta["first_loss"] = format_float(state.first_loss);
  meta["last_losses"] = text_of(state.last_losses);
  meta["optimizer"] =
      std::string(to_string(session.executor().optimizer().value_or(OptimizerAttrs{}).kind));
  meta["seed"] = std::to_string(session.solver().seed);
  meta["threads"] = std::to_string(session.threads());
  meta["backend"] = session.backend().identity();
  meta["kernels"] = to_text(session.kernels());
  meta["config"] = config;
  return data;
}

KernelChoices checkpoint_kernels(const CheckpointData& data) {
  const auto found = data.meta.find("kernels");  // files of version 0.1 have none
  return found == data.meta.end() ? KernelChoices() : choices_of_text(found->second);
}

TrainingState restore_checkpoint(Session& session, const CheckpointData& data) {
  const MetaReader meta(data);
  TrainingState state;
  state.step = meta.integer("step");
  state.update = static_cast<std::uint64_t>(meta.integer("update"));
  state.samples = meta.integer("samples");
  state.seconds = meta.number("seconds");
  state.epoch_loss = meta.number("epoch_loss");
  state.epoch_steps = meta.integer("epoch_steps");
  for (const auto& [key, part] : kEpochParts) {
    if (state.epoch_steps == 0) continue;
    state.epoch_parts.*part = meta.has(key) ? meta.number(key) : kNoValue;
  }
  state.epoch_correct = meta.integer("epoch_correct");
  state.epoch_samples = meta.integer("epoch_samples");
  state.epoch_seconds = meta.number("epoch_seconds");
  state.best_value = meta.number("best_value");
  state.best_metric = meta.number("best_top1");
  state.best_epoch = meta.integer("best_epoch");
  if (meta.has("loss_scale")) {
    state.loss_scale = static_cast<float>(meta.number("loss_scale"));
    state.good_updates = static_cast<std::uint32_t>(meta.integer("good_updates"));
  }
  state.first_loss = meta.number("first_loss");
  state.last_losses = numbers_of(meta.text("last_losses"));
  if (state.step < 0 || state.step > session.schedule().total_steps()) {
    throw DataError(data.path, fmt::format("was made at step {}, but the schedule has {} steps",
                                           state.step, session.schedule().total_steps()));
  }
  write_weights(session.executor(), data.path, data.tensors, /*partial=*/false);
  // The arrays belong to the optimizer of the step before; the phase that follows may change it.
  const std::int64_t before = std::max<std::int64_t>(0, state.step - 1);
  session.executor().set_optimizer(session.phase(session.schedule().at(before).phase).optimizer);
  // A training that was stopped before its first update had none yet: they start at zero.
  if (state.step > 0) write_slots(session.executor(), data.path, data.tensors);
  session.averages().write(data.path, data.tensors);
  return state;
}

bool CheckpointObserver::due(const TrainingState& state) const {
  const Length& every = session_.solver().checkpoint.every;
  const Schedule& schedule = session_.schedule();
  const std::int64_t epoch = schedule.position(state.step - 1).epoch;
  return length_due(every, state.step, schedule.steps_in_epoch(epoch),
                    state.step == schedule.epoch_end_step(epoch), epoch + 1);
}

// At the end of an epoch the evaluation comes first: on_epoch saves.
bool CheckpointObserver::due_within_epoch(const TrainingState& state) const {
  const Schedule& schedule = session_.schedule();
  const std::int64_t epoch = schedule.position(state.step - 1).epoch;
  return state.step != schedule.epoch_end_step(epoch) && due(state);
}

bool CheckpointObserver::wants_weights(const TrainingState& state) const {
  return due_within_epoch(state);
}

void CheckpointObserver::on_step(const StepEvent& event) {
  if (!event.settled) return;  // a signal is kept until the weights are those of the state
  if (save_requested() || due_within_epoch(event.state)) save(event.state, /*best=*/false);
}

void CheckpointObserver::on_epoch(const EpochEvent& event) {
  const bool last = event.state.step == session_.schedule().total_steps();
  if (event.best || last || due(event.state)) save(event.state, event.best);
}

void CheckpointObserver::save(const TrainingState& state, bool best) {
  if (state.step == saved_step_ && !best) return;
  store_.save(state.step, checkpoint_of(session_, state, config_), best);
  saved_step_ = state.step;
}

}  // namespace daybreak
