#pragma once

#include <functional>
#include <string>

#include "train/lr_range.h"
#include "train/session.h"

namespace daybreak {

/// What a learning-rate range test gave.
struct LrFindResult {
  LrRangeRecorder record;
  LrSuggestions suggestions;
  std::string note;  ///< why it ended early, in words; empty when it ran to the end
};

/// Runs the range test on the first phase's plan, data and optimizer. Afterwards weights, running
/// statistics, optimizer arrays and counters are bit-equal to before (proved by their digest;
/// Leslie Smith 2015; fastai's form). Batches are drawn with a seed of their own.
LrFindResult find_lr(Session& session, const LrRangeOptions& options,
                     const std::function<void(int done)>& progress);

}  // namespace daybreak
