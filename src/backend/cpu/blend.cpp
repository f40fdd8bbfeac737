#include "backend/blend.h"

#include <utility>

#include "backend/cpu/context.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/simd.h"
#include "core/parallel.h"

// Averages of all parameters. Elements are independent, so results do not depend on threads.

namespace daybreak {
namespace {

DAYBREAK_MULTIARCH void blend_range(float* average, const float* values, float share,
                                    std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) average[i] = blended(average[i], values[i], share);
}

DAYBREAK_MULTIARCH void exchange_range(float* a, float* b, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) std::swap(a[i], b[i]);
}

}  // namespace

void blend_floats(float* average, const float* values, std::size_t count, float share) {
  parallel_for(static_cast<std::int64_t>(count), kGrain, [=](std::int64_t begin, std::int64_t end) {
    blend_range(average, values, share, begin, end);
  });
}

void exchange_floats(float* a, float* b, std::size_t count) {
  parallel_for(static_cast<std::int64_t>(count), kGrain,
               [=](std::int64_t begin, std::int64_t end) { exchange_range(a, b, begin, end); });
}

}  // namespace daybreak
