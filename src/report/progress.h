#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daybreak {

/// A named figure of a progress line: {"val loss", 0.371}.
struct Metric {
  const char* name;
  double value;
};

/// Where progress goes. Tests give their own writer, clock and width.
struct ProgressOutput {
  std::function<void(std::string_view)> write;  ///< must not throw
  std::function<double()> now_s;                ///< seconds of a steady clock
  std::function<int()> columns;                 ///< width of the terminal
  bool bar = false;                             ///< false: one line an epoch, no cursor codes
};

/// Standard error: a bar on a terminal; lines with `quiet`, NO_COLOR, TERM=dumb or no terminal.
/// A closed or broken standard error is ignored from its first failing write on, SIGPIPE included.
ProgressOutput stderr_output(bool quiet);

/// One bar: `label  [####----]  count  items...  eta`.
struct BarParts {
  std::string label;
  double share = 0.0;  ///< 0 to 1
  std::string count;
  std::vector<std::pair<std::string, int>>
      items;  ///< text, rank: the highest rank is left out first
  std::string eta;
};

/// The bar as one line of at most `columns - 1` columns (the last one stays free: some terminals
/// wrap).
std::string bar_line(const BarParts& parts, int columns);

/// What is known at the end of an epoch.
struct EpochSummary {
  std::span<const Metric> metrics;  ///< in the order shown; NaN values are left out
  double images_per_second = std::numeric_limits<double>::quiet_NaN();
  double seconds = std::numeric_limits<double>::quiet_NaN();
  bool best = false;
};

/// Samples per second, averaged over the last few seconds.
class RateMeter {
 public:
  /// Restarts measuring at this moment; the average so far is kept.
  void start(double now_s, std::int64_t done);
  void add(double now_s, std::int64_t done);
  /// NaN until something was measured.
  double per_second() const;

 private:
  double last_s_ = 0.0;
  std::int64_t last_done_ = 0;
  double seconds_ = 0.0;  // both decay with the same time constant
  double done_ = 0.0;
};

/// Progress of a training, an evaluation or a long scan. All functions may be called from any
/// thread.
class Progress {
 public:
  explicit Progress(ProgressOutput output);
  /// A bar that is still shown (an error is under way) is kept and followed by a line feed.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `epoch` counts from 1; `samples_done` of `samples_total` are those of the whole training.
  void begin_epoch(int epoch, int epochs, std::int64_t steps, std::int64_t samples_done,
                   std::int64_t samples_total);
  /// After a step; `step` counts within the epoch, from 1. Cheap when nothing is to be drawn.
  void step(std::int64_t step, std::int64_t samples_done, std::span<const Metric> metrics,
            double lr);
  /// Replaces the bar by the epoch's line, in both modes.
  void end_epoch(const EpochSummary& summary);

  /// A bar for anything else, such as "evaluating" 10,000 "img"; lines mode shows nothing.
  void begin_task(std::string label, std::int64_t total, std::string unit);
  void task(std::int64_t done);
  /// Removes the bar.
  void end_task();

  /// Prints a whole line above the bar.
  void line(std::string_view text);

 private:
  bool due() const;
  void draw(const BarParts& parts);
  void clear();
  void print(const std::string& text);
  double eta_s(std::int64_t samples_done) const;

  std::mutex mutex_;
  ProgressOutput output_;
  bool shown_ = false;
  double drawn_s_ = -1e9;
  std::string last_;  // the bar on the screen, without codes

  int epoch_ = 0, epochs_ = 0;
  std::int64_t steps_ = 0, samples_total_ = 0;
  double last_step_s_ = 0.0;
  double validation_s_ = 0.0;  // of the latest epoch: part of the time left
  RateMeter rate_;

  std::string task_label_, task_unit_;
  std::int64_t task_total_ = 0;
  RateMeter task_rate_;
};

}  // namespace daybreak
