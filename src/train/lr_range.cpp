#include "train/lr_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace daybreak {
namespace {

constexpr int kSkippedAtEnd = 5;
// slide: distance of the two slopes that are compared, and how equal they must be.
constexpr int kSlideGap = 15;
constexpr double kSlideThreshold = 0.005;

LrSuggestion absent(std::string reason) {
  return {std::nullopt, -1, std::move(reason)};
}

LrSuggestion too_few(int have, int need) {
  return absent(fmt::format("needs {} points in the window, found {}", need, have));
}

/// Longest strictly falling subsequence: a third of its length plus half of that from its start.
int valley_index(std::span<const double> loss) {
  const int n = static_cast<int>(loss.size());
  std::vector<int> longest(loss.size(), 1);
  int end = 0;
  for (int i = 1; i < n; ++i) {
    for (int j = 0; j < i; ++j) {
      if (loss[j] > loss[i]) longest[i] = std::max(longest[i], longest[j] + 1);
    }
    if (longest[i] > longest[end]) end = i;
  }
  const int start = end - longest[end];  // may be -1
  const double section = (end - start) / 3.0;
  const int index = start + static_cast<int>(section) + static_cast<int>(section / 2.0);
  return std::clamp(index, 0, n - 1);
}

int steepest_index(std::span<const double> lr, std::span<const double> loss) {
  int best = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i + 1 < loss.size(); ++i) {
    const double slope = (loss[i + 1] - loss[i]) / (std::log(lr[i + 1]) - std::log(lr[i]));
    if (slope < lowest) {
      lowest = slope;
      best = static_cast<int>(i);
    }
  }
  return best;
}

/// Central differences with unit spacing, one-sided at the ends.
std::vector<double> slopes(std::span<const double> values) {
  const std::size_t n = values.size();
  std::vector<double> result(n);
  for (std::size_t i = 1; i + 1 < n; ++i) result[i] = (values[i + 1] - values[i - 1]) / 2.0;
  result[0] = values[1] - values[0];
  result[n - 1] = values[n - 1] - values[n - 2];
  return result;
}

int slide_index(std::span<const double> loss) {
  const std::vector<double> slope = slopes(loss);
  int right = static_cast<int>(loss.size()) - 1;
  int left = right - kSlideGap;
  int keep = left;
  while (left >= 0 && std::fabs(slope[right] - slope[left]) > kSlideThreshold) {
    keep = left--;
    --right;
  }
  return keep;
}

}  // namespace

double lr_range_value(const LrRangeOptions& options, int step) {
  const double t = static_cast<double>(step) / options.steps;
  if (options.linear) return options.start + (options.end - options.start) * t;
  return options.start * std::pow(options.end / options.start, t);
}

void check_lr_range(const LrRangeOptions& options) {
  if (!(options.start > 0.0 && options.start < options.end && std::isfinite(options.end))) {
    throw ConfigError(fmt::format("the learning rates go from {} to {}, expected 0 < start < end",
                                  options.start, options.end));
  }
  if (options.steps < LrRangeRecorder::kFewestPoints) {
    throw ConfigError(fmt::format("\"steps\" is {}, expected at least {}", options.steps,
                                  LrRangeRecorder::kFewestPoints));
  }
  if (!(options.stop_factor > 1.0)) {
    throw ConfigError(
        fmt::format("\"stop-factor\" is {}, expected more than 1", options.stop_factor));
  }
  if (!(options.smoothing >= 0.0 && options.smoothing < 1.0)) {
    throw ConfigError(
        fmt::format("\"smoothing\" is {}, expected 0 or more and less than 1", options.smoothing));
  }
}

LrRangeState LrRangeRecorder::record(double loss) {
  DAYBREAK_ASSERT(state_ == LrRangeState::running);
  if (!std::isfinite(loss)) return state_ = LrRangeState::non_finite;
  const double rate = next_lr();
  average_ = options_.smoothing * average_ + (1.0 - options_.smoothing) * loss;
  weight_ *= options_.smoothing;
  const double value = average_ / (1.0 - weight_);
  lr_.push_back(rate);
  raw_.push_back(loss);
  smoothed_.push_back(value);
  best_ = std::min(best_, value);
  if (value > options_.stop_factor * best_) return state_ = LrRangeState::exploded;
  if (points() == options_.steps) state_ = LrRangeState::done;
  return state_;
}

LrSuggestions suggest_lr(std::span<const double> lr, std::span<const double> smoothed,
                         int planned_steps) {
  DAYBREAK_ASSERT(lr.size() == smoothed.size());
  LrSuggestions result;
  const int points = static_cast<int>(lr.size());
  result.window_begin = std::min(planned_steps / 10, points);
  result.window_end = std::max(result.window_begin, points - kSkippedAtEnd);
  for (int i = result.window_begin; i < result.window_end; ++i) {
    if (!std::isfinite(smoothed[static_cast<std::size_t>(i)])) result.window_end = i;
  }
  const int count = result.window_end - result.window_begin;
  const auto begin = static_cast<std::size_t>(result.window_begin);
  const auto rates = lr.subspan(begin, static_cast<std::size_t>(count));
  const auto loss = smoothed.subspan(begin, static_cast<std::size_t>(count));
  const auto at = [&](int index, double factor) {
    return LrSuggestion{rates[static_cast<std::size_t>(index)] * factor,
                        result.window_begin + index, ""};
  };
  const auto lowest = std::min_element(loss.begin(), loss.end()) - loss.begin();
  result.valley = count >= 1 ? at(valley_index(loss), 1.0) : too_few(count, 1);
  result.minimum = count >= 1 ? at(static_cast<int>(lowest), 0.1) : too_few(count, 1);
  result.steep = count >= 2 ? at(steepest_index(rates, loss), 1.0) : too_few(count, 2);
  result.slide = count > kSlideGap ? at(slide_index(loss), 1.0) : too_few(count, kSlideGap + 1);
  return result;
}

}  // namespace daybreak
