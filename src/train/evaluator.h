#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "data/loader.h"
#include "plan/executor.h"
#include "plan/recorder.h"
#include "report/classification_metrics.h"
#include "train/batch_feeder.h"

namespace daybreak {

/// A picture as the network is shown it: moved right and down by pixels, what comes in being
/// reflected without the edge; then mirrored left-right.
struct View {
  bool mirrored = false;
  int dx = 0, dy = 0;
  double weight = 1.0;  ///< of its probabilities; those of all views sum to 1
};
/// flip: both sides. shift: both sides of the picture, weighing 1/2, and of the picture moved by
/// (1, 1) and (-1, -1), weighing 1/4 each (airbench94's level 2, which averages logits instead).
std::vector<View> views_of(Views views);

/// How an evaluation runs.
struct EvaluateOptions {
  Views views = Views::none;  ///< of every picture, whose probabilities are averaged
  int keep_mistakes = 0;      ///< wrong samples to keep for the report
  /// Called whenever scores have been read: after every batch on the CPU.
  std::function<void(std::int64_t done)> progress;
};

/// Evaluates a plan (mode eval, its prediction kept) over a data set, as often as it is asked to.
/// On a device that records, batches are recorded and replayed like training steps, made there of
/// pictures that live there where they fit, and their scores stay there until all are read at once.
class Evaluator {
 public:
  /// `loader` neither shuffles nor augments and keeps the last batch, whose padding does not count.
  /// The executor must outlive it; what it takes of the backend's memory is taken when it is
  /// needed, at most `score_bytes` for the scores of a view (or those of one batch).
  Evaluator(Executor& executor, PlanId plan, const Dataset& data, LoaderOptions loader,
            std::uint64_t score_bytes = std::uint64_t{16} << 20);
  ~Evaluator();

  ClassificationResult evaluate(const EvaluateOptions& options);
  /// Recordings made so far: one a view.
  int recorded() const { return recorder_.recorded(); }

 private:
  struct Shown;

  std::vector<Shown*> prepare(Views views);
  Shown& shown(const View& view);
  void queue(Shown& one, const FedBatch& batch);
  std::span<const float> scores(const std::vector<Shown*>& views, std::size_t rows);

  Executor& executor_;
  PlanId plan_;
  Dataset data_;
  LoaderOptions options_;
  Shape shape_;  // of the pictures
  int classes_ = 0;
  std::uint64_t capacity_ = 0;  // rows of scores that are kept
  Recorder recorder_;
  std::unique_ptr<ResidentData> resident_;
  std::unique_ptr<BatchFeeder> host_;  // null: the device makes the batches
  std::map<std::vector<int>, std::unique_ptr<Shown>> shown_;
  std::vector<std::uint8_t> pictures_;
  std::vector<float> logits_;
  std::vector<double> mean_;
};

}  // namespace daybreak
