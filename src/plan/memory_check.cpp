#include "plan/memory_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace daybreak {

MemoryNeed memory_need(const Executor& executor, int slots, bool accumulates, int averages) {
  const ParamBytes params = executor.param_bytes();
  MemoryNeed need;
  need.activations = executor.arena_bytes();
  need.parameters = params.all * static_cast<std::size_t>(1 + averages) +
                    params.trained * (accumulates ? 2 : 1) + params.rounded;
  need.slots = params.trained * static_cast<std::size_t>(slots);
  return need;
}

int fitting_batch(int batch, std::size_t available, const std::function<std::size_t(int)>& bytes) {
  constexpr int kMostTries = 8, kRound = 8;
  const std::size_t fixed = bytes(0);
  if (fixed >= available) return 0;
  for (int attempt = 0; attempt < kMostTries && batch > 0; ++attempt) {
    const std::size_t need = bytes(batch);
    if (need <= available) return batch;
    // Activations grow with the batch, nearly in proportion.
    const double share = static_cast<double>(available - fixed) /
                         static_cast<double>(std::max(need, fixed + 1) - fixed);
    const int guess = std::min(batch - 1, static_cast<int>(share * batch));
    batch = guess > 2 * kRound ? guess / kRound * kRound : guess;
  }
  return 0;
}

void check_memory(Executor& executor, int slots, bool accumulates, int averages) {
  const MemoryNeed need = memory_need(executor, slots, accumulates, averages);
  const std::size_t available = executor.backend().free_bytes();
  if (need.total() <= available) return;
  const int largest = executor.largest_batch();
  const int fits = fitting_batch(largest, available, [&](int batch) {
    return need.total() - need.activations + (batch > 0 ? executor.arena_bytes_at(batch) : 0);
  });
  throw DeviceError(fmt::format(
      "not enough memory: {} needed (activations {} at batch {}, parameters {}, optimizer {}), {} "
      "free on {}; {}",
      format_bytes(need.total()), format_bytes(need.activations), largest,
      format_bytes(need.parameters), format_bytes(need.slots), format_bytes(available),
      executor.backend().name(),
      fits > 0 ? fmt::format("a batch of {} would fit", fits)
               : std::string("not even a batch of 1 would fit")));
}

}  // namespace daybreak
