#pragma once

#include <cstddef>
#include <functional>

#include "plan/executor.h"

namespace daybreak {

/// Bytes that a network will take from its backend before the first step.
struct MemoryNeed {
  std::size_t activations = 0;  ///< the arena: activations, their gradients, workspaces
  std::size_t parameters = 0;   ///< weights, rounded ones, gradients, sums of
                                ///< micro-batches, averages
  std::size_t slots = 0;        ///< the optimizer's arrays

  std::size_t total() const { return activations + parameters + slots; }
};

/// The need of an executor that has all its plans, with an optimizer of `slots` arrays and with or
/// without room for sums over micro-batches; `averages`: copies of all weights beside them.
MemoryNeed memory_need(const Executor& executor, int slots, bool accumulates, int averages = 0);

/// The largest tried batch up to `batch` for which bytes(batch) <= available; 0 when there is none.
/// Tries few sizes: `bytes` makes plans.
int fitting_batch(int batch, std::size_t available, const std::function<std::size_t(int)>& bytes);

/// Throws DeviceError when the backend has less memory than the executor will take; the text says
/// the parts and the batch that would fit. To be called between add_plan() and prepare().
void check_memory(Executor& executor, int slots, bool accumulates, int averages = 0);

}  // namespace daybreak
