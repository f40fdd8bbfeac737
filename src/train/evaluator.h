#pragma once

#include <functional>
#include <vector>

#include "data/loader.h"
#include "plan/executor.h"
#include "report/classification_metrics.h"

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
  std::function<void(std::int64_t done)> progress;  ///< called after every batch
};

/// Evaluates `plan` (mode eval, its prediction kept) over all samples of a loader that neither
/// shuffles nor augments and keeps the last batch. Padding samples do not count.
ClassificationResult evaluate(Executor& executor, PlanId plan, Loader& loader,
                              const EvaluateOptions& options);

}  // namespace daybreak
