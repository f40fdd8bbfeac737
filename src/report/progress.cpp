#include "report/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/text.h"

namespace daybreak {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kRateSeconds = 3.0;  // time constant of the rate shown
constexpr int kBarColumns = 24;
constexpr int kLeastBarColumns = 8;
constexpr const char* kEraseToEnd = "\x1b[K";

std::string bar_text(double share, int columns) {
  const double bounded = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0);
  const int full = static_cast<int>(bounded * columns + 1e-9);
  return fmt::format("[{}{}]", std::string(static_cast<std::size_t>(full), '#'),
                     std::string(static_cast<std::size_t>(columns - full), '-'));
}

// Parts joined by two spaces; empty ones are left out.
std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += "  ";
    text += part;
  }
  return text;
}

std::string assemble(const BarParts& parts, const std::string& bar) {
  std::vector<std::string> texts = {parts.label, bar, parts.count};
  for (const auto& item : parts.items) texts.push_back(item.first);
  texts.push_back(parts.eta);
  return join(texts);
}

}  // namespace

std::string bar_line(const BarParts& parts, int columns) {
  const int width = std::max(columns - 1, 1);
  BarParts kept = parts;
  const auto room = [&] {  // for the bar between its brackets
    const std::string empty_bar = "[]";
    return width - static_cast<int>(display_width(assemble(kept, empty_bar)));
  };
  while (room() < kLeastBarColumns && !kept.items.empty()) {
    const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    kept.items.erase(std::max_element(kept.items.begin(), kept.items.end(), less));
  }
  const int bar = std::min(room(), kBarColumns);
  if (bar < kLeastBarColumns) {
    return fit_columns(assemble(kept, ""), static_cast<std::size_t>(width));
  }
  return assemble(kept, bar_text(parts.share, bar));
}

void RateMeter::start(double now_s, std::int64_t done) {
  last_s_ = now_s;
  last_done_ = done;
}

void RateMeter::add(double now_s, std::int64_t done) {
  const double elapsed = now_s - last_s_;
  if (!(elapsed > 0.0)) return;  // counted with the next call
  const double keep = std::exp(-elapsed / kRateSeconds);
  seconds_ = seconds_ * keep + elapsed;
  done_ = done_ * keep + static_cast<double>(done - last_done_);
  start(now_s, done);
}

double RateMeter::per_second() const {
  return seconds_ > 0.0 ? done_ / seconds_ : std::numeric_limits<double>::quiet_NaN();
}

Progress::Progress(ProgressOutput output) : output_(std::move(output)) {}

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  if (shown_) output_.write("\n");
}

void Progress::begin_epoch(int epoch, int epochs, std::int64_t steps, std::int64_t samples_done,
                           std::int64_t samples_total) {
  const std::lock_guard lock(mutex_);
  epoch_ = epoch;
  epochs_ = epochs;
  steps_ = steps;
  samples_total_ = samples_total;
  last_step_s_ = output_.now_s();
  rate_.start(last_step_s_, samples_done);
  if (!output_.bar) return;
  BarParts parts;
  parts.label = fmt::format("epoch {}/{}", epoch_, epochs_);
  parts.count = fmt::format("0/{}", steps_);
  draw(parts);
}

void Progress::step(std::int64_t step, std::int64_t samples_done, std::span<const Metric> metrics,
                    double lr) {
  const std::lock_guard lock(mutex_);
  last_step_s_ = output_.now_s();
  if (!output_.bar) return;
  rate_.add(last_step_s_, samples_done);
  if (last_step_s_ - drawn_s_ < kRedrawSeconds) return;

  BarParts parts;
  parts.label = fmt::format("epoch {}/{}", epoch_, epochs_);
  parts.share = steps_ > 0 ? static_cast<double>(step) / static_cast<double>(steps_) : 0.0;
  parts.count = fmt::format("{}/{}", step, steps_);
  constexpr int kFirstMetricRank = 1;
  const int rank_of_rate = kFirstMetricRank + 1;  // stays longer than all metrics but the first
  parts.items.emplace_back(image_rate_text(rate_.per_second()), rank_of_rate);
  int rank = 0;
  for (const Metric& metric : metrics) {
    parts.items.emplace_back(fmt::format("{} {}", metric.name, metric_text(metric.value)), rank);
    rank = rank == 0 ? rank_of_rate + 1 : rank + 1;
  }
  if (std::isfinite(lr)) parts.items.emplace_back("lr " + rate_text(lr), rank + 1);
  parts.eta = "ETA " + clock_text(eta_s(samples_done));
  draw(parts);
}

double Progress::eta_s(std::int64_t samples_done) const {
  const double left = static_cast<double>(std::max<std::int64_t>(samples_total_ - samples_done, 0));
  const int validations = std::max(epochs_ - epoch_ + 1, 0);
  return left / rate_.per_second() + validations * validation_s_;
}

void Progress::end_epoch(const EpochSummary& summary) {
  const std::lock_guard lock(mutex_);
  validation_s_ = std::max(output_.now_s() - last_step_s_, 0.0);
  std::vector<std::string> parts = {fmt::format("epoch {}/{}", epoch_, epochs_)};
  for (const Metric& metric : summary.metrics) {
    if (std::isnan(metric.value)) continue;
    parts.push_back(fmt::format("{} {}", metric.name, metric_text(metric.value)));
  }
  if (std::isfinite(summary.images_per_second)) {
    parts.push_back(image_rate_text(summary.images_per_second));
  }
  if (std::isfinite(summary.seconds)) parts.push_back(duration_text(summary.seconds));
  if (summary.best) parts.emplace_back("best *");
  print(join(parts));
}

void Progress::begin_task(std::string label, std::int64_t total, std::string unit) {
  const std::lock_guard lock(mutex_);
  task_label_ = clean_text(label);
  task_unit_ = std::move(unit);
  task_total_ = total;
  task_rate_ = RateMeter{};
  task_rate_.start(output_.now_s(), 0);
}

void Progress::task(std::int64_t done) {
  const std::lock_guard lock(mutex_);
  if (!output_.bar) return;
  const double now = output_.now_s();
  task_rate_.add(now, done);
  if (now - drawn_s_ < kRedrawSeconds) return;

  const double rate = task_rate_.per_second();
  BarParts parts;
  parts.label = task_label_;
  parts.share =
      task_total_ > 0 ? static_cast<double>(done) / static_cast<double>(task_total_) : 0.0;
  parts.count = with_separators(done) + "/" + with_separators(task_total_);
  if (std::isfinite(rate)) {
    parts.items.emplace_back(
        fmt::format("{} {}/s", with_separators(std::llround(rate)), task_unit_), 0);
    parts.eta = "ETA " + clock_text(static_cast<double>(task_total_ - done) / rate);
  }
  draw(parts);
}

void Progress::end_task() {
  const std::lock_guard lock(mutex_);
  clear();
}

void Progress::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const std::string bar = shown_ ? last_ : "";
  print(std::string(text));
  if (bar.empty()) return;
  output_.write("\r" + bar + kEraseToEnd);
  shown_ = true;
}

void Progress::draw(const BarParts& parts) {
  last_ = bar_line(parts, output_.columns());
  output_.write("\r" + last_ + kEraseToEnd);
  shown_ = true;
  drawn_s_ = output_.now_s();
}

void Progress::clear() {
  if (shown_) output_.write(std::string("\r") + kEraseToEnd);
  shown_ = false;
  drawn_s_ = -1e9;
}

void Progress::print(const std::string& text) {
  clear();
  output_.write(text + "\n");
}

}  // namespace daybreak
