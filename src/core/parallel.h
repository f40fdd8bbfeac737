#pragma once

#include <cstdint>

#include <omp.h>

namespace daybreak {

/// Splits [0, count) into chunks of `grain` by index and runs body(begin, end) on the compute
/// team. Chunk borders depend on `grain` only, never on the thread count, so ordered sums over
/// chunks are reproducible. Small work (one chunk) stays on the calling thread: a barrier costs more.
template <typename Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const std::int64_t chunks = (count + grain - 1) / grain;
  if (chunks == 1) {
    body(std::int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t begin = chunk * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  }
}

/// Cores this process may use: the affinity mask, limited by the control group's CPU quota.
int usable_cores();

/// Sets the size of the compute team for the whole process.
void set_compute_threads(int threads);
int compute_threads();

}  // namespace daybreak
