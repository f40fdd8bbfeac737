#pragma once

#include <cmath>

#include "core/philox.h"

// The same on host and device: kernels use it, tests/ops/cuda_index_test.cpp proves it on the CPU.
namespace daybreak::cuda {

/// Of `rows` values; the variance is divided by `rows`.
struct Moments {
  float mean = 0.0f, variance = 0.0f;
};

/// From the sums over `rows` values of their differences to `shift`, and of the squares of these.
DAYBREAK_HOST_DEVICE inline Moments moments_of(double rows, double shift, double sum,
                                               double squares) {
  const double offset = sum / rows;
  const double variance = squares / rows - offset * offset;
  return {static_cast<float>(shift + offset), static_cast<float>(variance > 0.0 ? variance : 0.0)};
}

/// What a running variance takes of a batch: the variance divided by rows - 1.
DAYBREAK_HOST_DEVICE inline float unbiased(float variance, float rows) {
  return rows > 1.0f ? variance * (rows / (rows - 1.0f)) : variance;
}

}  // namespace daybreak::cuda
