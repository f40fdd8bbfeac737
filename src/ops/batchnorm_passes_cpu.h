#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/norm_rows.h"
#include "backend/cpu/planes.h"

namespace daybreak {

/// One batch norm as its passes over memory see it. Arrays over channels have `width` entries: all
/// lanes in memory, so that blocked tensors' padding computes zeros from zeros.
struct NormJob {
  Planes p;
  std::int64_t samples_per_chunk = 1, chunks = 1, width = 0;
  DType dtype = DType::f32;             ///< of x, residual, dy, y; in place f32 only
  RowSource source = RowSource::input;  ///< of gradients
  std::byte* x = nullptr;               ///< backward in place: the output
  std::byte* residual = nullptr;        ///< null without one
  std::byte* dy = nullptr;
  std::byte* y = nullptr;     ///< or dx
  double* partial = nullptr;  ///< [chunks][2][width]
  NormLanes k{};
};

/// For tasks (plane, chunk), chunk fastest: the mean of x and the sum of squares around it.
void norm_moments(const NormJob& job, std::int64_t begin, std::int64_t end);
/// For the same tasks: the sums of g and of g * (x - mean).
void norm_gradient_sums(const NormJob& job, std::int64_t begin, std::int64_t end);
/// For planes counted over all samples: y, or dx from the sums.
void norm_values(const NormJob& job, std::int64_t begin, std::int64_t end);
void norm_gradients(const NormJob& job, std::int64_t begin, std::int64_t end);

}  // namespace daybreak
