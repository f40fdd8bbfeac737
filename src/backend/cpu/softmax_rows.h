#pragma once

#include <cstdint>

#include "backend/cpu/simd.h"

namespace daybreak {

/// The largest of `count` values.
DAYBREAK_INLINE float largest(const float* x, std::int64_t count) {
  float most = x[0];
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 1; i < count; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

/// A sum in a fixed order that vectorises: 16 interleaved sums, joined one after the other.
DAYBREAK_INLINE float ordered_sum(const float* x, std::int64_t count) {
  float lanes[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
#pragma omp simd
    for (int l = 0; l < 16; ++l) lanes[l] += x[i + l];
  }
  for (; i < count; ++i) lanes[i % 16] += x[i];
  double sum = 0.0;
  for (float lane : lanes) sum += lane;
  return static_cast<float>(sum);
}

/// y = softmax(x); y may be x.
DAYBREAK_INLINE void softmax_row(const float* x, float* y, std::int64_t count) {
  const float most = largest(x, count);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = exp_negative(x[i] - most);
  const float sum = ordered_sum(y, count);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] /= sum;
}

/// dx = y * (dy - y . dy); dx may be dy.
DAYBREAK_INLINE void softmax_row_gradient(const float* y, const float* dy, float* dx,
                                          std::int64_t count) {
  float lanes[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
#pragma omp simd
    for (int l = 0; l < 16; ++l) lanes[l] += y[i + l] * dy[i + l];
  }
  for (; i < count; ++i) lanes[i % 16] += y[i] * dy[i];
  double dot = 0.0;
  for (float lane : lanes) dot += lane;
  const float d = static_cast<float>(dot);
#pragma omp simd
  for (std::int64_t k = 0; k < count; ++k) dx[k] = y[k] * (dy[k] - d);
}

}  // namespace daybreak
