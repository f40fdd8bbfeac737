#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/posix_file.h"
#include "report/progress.h"

// The record of a run for machines (results.csv, results.json, steps.csv) and its log.txt.

namespace daybreak {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

/// One row of results.csv. A figure that was not measured is kNoValue and an empty cell.
struct EpochRow {
  std::int64_t epoch = 0;  ///< from 1
  std::int64_t step = 0;   ///< steps done in the whole training
  std::int64_t samples = 0;
  double seconds = 0.0;  ///< of training and validation since the start
  double lr = kNoValue;
  double momentum = kNoValue;
  double train_loss = kNoValue;
  double val_loss = kNoValue;
  double val_top1 = kNoValue;
  double val_top5 = kNoValue;
  double val_map50 = kNoValue;  ///< of detectors, where classifiers have top1 and top5
  double val_map = kNoValue;
  double val_box = kNoValue;  ///< parts of a detector's val_loss
  double val_objectness = kNoValue;
  double val_classes = kNoValue;
  double train_box = kNoValue;  ///< parts of its train_loss
  double train_objectness = kNoValue;
  double train_classes = kNoValue;
  double images_per_second = kNoValue;  ///< of the epoch's training
};

/// Appends rows to results.csv; each row is on disk's way (flushed) when add() returns.
class ResultsCsv {
 public:
  /// Rows after epoch `resumed_epoch` and damaged rows are dropped by an atomic replacement before
  /// anything is appended; 0 starts anew. A file with other columns is kept as PATH.old.
  /// `detection`: with columns for mAP in place of those for accuracy.
  ResultsCsv(std::string path, std::int64_t resumed_epoch, bool detection = false);

  /// Throws DeviceError when the row cannot be written.
  void add(const EpochRow& row);
  /// All rows in the file, those from before a resume included.
  const std::vector<EpochRow>& rows() const { return rows_; }

 private:
  std::string path_;
  bool detection_ = false;
  FileDescriptor fd_;
  std::vector<EpochRow> rows_;
};

/// Whole rows of a results.csv; damaged rows are left out. A missing file has none.
std::vector<EpochRow> read_results_csv(const std::string& path);

/// What one training step was, for the curves.
struct StepSample {
  std::int64_t step = 0;
  double lr = 0.0;
  double momentum = 0.0;
  double loss = 0.0;
  double box = kNoValue, objectness = kNoValue, classes = kNoValue;  ///< parts of a detector's loss
};

/// Samples of every step thinned to at most `kMaxPoints` averages over equally many steps: when it
/// is full, neighbours are joined and each further point covers twice the steps.
class StepCurve {
 public:
  static constexpr std::size_t kMaxPoints = 2000;

  /// `detection`: with the parts of the loss.
  explicit StepCurve(bool detection = false);
  /// Allocates nothing: memory is taken by the constructor.
  void add(const StepSample& sample);
  const std::vector<StepSample>& points() const { return points_; }

  /// steps.csv: step, lr, momentum, train/loss, of detectors its parts; replaced atomically.
  void save(const std::string& path) const;
  /// Goes on with a saved curve up to `last_step`; a missing or damaged file gives an empty curve.
  void load(const std::string& path, std::int64_t last_step);

 private:
  void halve();
  void clear_sum();

  bool detection_ = false;
  std::vector<StepSample> points_;
  std::int64_t stride_ = 1;  // steps a point covers
  std::int64_t pending_ = 0;
  StepSample sum_;
};

/// The final figures of a training: results.json (fields: cli.md).
struct RunSummary {
  std::string task = "classification";
  std::string name;
  std::string status;  ///< "done", "stopped", "diverged"
  std::int64_t epochs = 0;
  std::int64_t steps = 0;
  std::int64_t samples = 0;
  double seconds = 0.0;  ///< training and its validation, without build or download
  double images_per_second = kNoValue;
  double final_loss = kNoValue, final_top1 = kNoValue, final_top5 = kNoValue;  ///< on validation
  double final_map50 = kNoValue, final_map = kNoValue;                         ///< of detectors
  /// Top-1 of the running mean of the weights (of detectors map50), over several views of each
  /// picture, and of both together.
  double final_ema = kNoValue, final_tta = kNoValue, final_ema_tta = kNoValue;
  std::int64_t best_epoch = 0;  ///< 0: there is none
  double best_top1 = kNoValue, best_map50 = kNoValue;
  std::string device, precision;
  int threads = 0;
  std::uint64_t seed = 0;
  std::int64_t params = 0;
  std::vector<std::pair<std::string, std::string>> versions;  ///< {"daybreak", "0.1.0"}, ...
  std::vector<std::string> warnings;
};

/// results.json as text. Figures that were not measured are left out.
std::string summary_json(const RunSummary& summary);
/// Replaces the file atomically.
void write_summary(const std::string& path, const RunSummary& summary);

/// What the console shows of the log: warnings and errors; also messages; also debug messages.
enum class Verbosity : unsigned char { quiet, normal, verbose };

/// While it lives, what is logged (spdlog's default logger) goes to a file with time stamps, and to
/// standard error above the progress bar: plain text, warnings and errors with their level in
/// front.
class RunLog {
 public:
  /// Console only, until open_file().
  RunLog(Progress& progress, Verbosity verbosity);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  /// Also writes log.txt from now on; what was logged before is written first. Appends when it
  /// exists.
  void open_file(const std::string& path);
  /// Every different warning so far, in order, at most 100; to be repeated at the end.
  std::vector<std::string> warnings() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace daybreak
