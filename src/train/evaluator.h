#pragma once

#include <functional>

#include "data/loader.h"
#include "plan/executor.h"
#include "report/classification_metrics.h"

namespace daybreak {

/// How an evaluation runs.
struct EvaluateOptions {
  bool flip = false;      ///< also average the probabilities over the mirrored pictures
  int keep_mistakes = 0;  ///< wrong samples to keep for the report
  std::function<void(std::int64_t done)> progress;  ///< called after every batch
};

/// Evaluates `plan` (mode eval, its prediction kept) over all samples of a loader that neither
/// shuffles nor augments and keeps the last batch. Padding samples do not count.
ClassificationResult evaluate(Executor& executor, PlanId plan, Loader& loader,
                              const EvaluateOptions& options);

}  // namespace daybreak
