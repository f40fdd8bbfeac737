#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace daybreak {

/// A learning-rate range test: how the rate grows and when to stop.
struct LrRangeOptions {
  double start = 1e-7;
  double end = 10.0;
  int steps = 100;
  bool linear = false;
  double stop_factor = 4.0;  ///< stop when the smoothed loss exceeds this times its best
  double smoothing = 0.98;
};

/// Rate of 0-based step i: start (end / start)^(i / n), or start + (end - start) i / n. The end is
/// never reached.
double lr_range_value(const LrRangeOptions& options, int step);

/// Throws ConfigError when the options cannot work (0 < start < end, steps >= 1 and so on).
void check_lr_range(const LrRangeOptions& options);

enum class LrRangeState : std::uint8_t {
  running,
  done,        ///< all steps were made
  exploded,    ///< smoothed loss above stop_factor times the best: the last point is recorded
  non_finite,  ///< a loss was NaN or infinite: not recorded, never enters the average
};

/// Records the losses of a range test. The smoothed loss is the exponential average
/// a = s a + (1 - s) L with the bias of its zero start removed: d = a / (1 - s^(i+1)).
class LrRangeRecorder {
 public:
  /// A run with fewer points says too little: suggestions are unreliable, exit code 3.
  static constexpr int kFewestPoints = 16;

  explicit LrRangeRecorder(const LrRangeOptions& options) : options_(options) {}

  /// Rate for the next step; valid while running.
  double next_lr() const { return lr_range_value(options_, points()); }
  /// Takes the raw loss of the step made with next_lr().
  LrRangeState record(double loss);

  LrRangeState state() const { return state_; }
  int points() const { return static_cast<int>(lr_.size()); }
  bool enough() const { return points() >= kFewestPoints; }
  std::span<const double> lr() const { return lr_; }
  std::span<const double> raw() const { return raw_; }
  std::span<const double> smoothed() const { return smoothed_; }
  double best() const { return best_; }
  const LrRangeOptions& options() const { return options_; }

 private:
  LrRangeOptions options_;
  LrRangeState state_ = LrRangeState::running;
  std::vector<double> lr_, raw_, smoothed_;
  double average_ = 0.0;
  double weight_ = 1.0;  // s^points
  double best_ = std::numeric_limits<double>::infinity();
};

/// One suggestion: a rate and its point, or why there is none.
struct LrSuggestion {
  std::optional<double> lr;
  int point = -1;      ///< index into the recorded points
  std::string reason;  ///< when there is no rate
};

/// The four suggestions of fastai v2 on the window [n / 10 : -5] of the points, cut at the first
/// smoothed loss that is not finite; n is the number of planned steps.
struct LrSuggestions {
  LrSuggestion valley;   ///< about 2/3 down the longest falling stretch: the default
  LrSuggestion slide;    ///< where the slope still equals that 15 points before the end
  LrSuggestion minimum;  ///< a tenth of the rate of the lowest loss
  LrSuggestion steep;    ///< where the loss falls fastest over ln lr
  int window_begin = 0, window_end = 0;  ///< of recorded points
};
LrSuggestions suggest_lr(std::span<const double> lr, std::span<const double> smoothed,
                         int planned_steps);

}  // namespace daybreak
