#pragma once

#include <algorithm>
#include <cstdint>

#include "core/parallel.h"

namespace daybreak {

/// Elements of one partial sum; borders depend on the count only, so that results do not depend on
/// the number of threads.
constexpr std::int64_t kSumChunk = 4096;

inline std::int64_t sum_chunks(std::int64_t count) {
  return (count + kSumChunk - 1) / kSumChunk;
}

/// Sums range(begin, end) over fixed chunks in order; `partial` has sum_chunks(count) entries.
template <typename Range>
double ordered_sum_of(std::int64_t count, double* partial, Range&& range) {
  const std::int64_t chunks = sum_chunks(count);
  parallel_for(chunks, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * kSumChunk;
      partial[chunk] = range(first, std::min(count, first + kSumChunk));
    }
  });
  double sum = 0.0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk];
  return sum;
}

}  // namespace daybreak
