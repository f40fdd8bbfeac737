#pragma once

#include <cstdint>

#include "backend/cpu/bf16.h"
#include "backend/cpu/simd.h"

namespace daybreak {

/// Inner loops of the norms. A "row" is the lanes of one pixel; W is the number of lanes, or 0 when
/// it is only known at run time. Per lane: z = (x - center) * scale + shift, y = act(z).
struct NormLanes {
  const float* center;
  const float* scale;
  const float* shift;
  const float* k1;  ///< backward: dx = scale * (g - k1 - k2 * (x - center))
  const float* k2;
  float slope;                     ///< of negative z: 1 without an activation, 0 for relu
  const float* inverse = nullptr;  ///< in place: x - center = (z - shift) * inverse
  float up = 1.0f;                 ///< 1 / slope
};

/// What the two sums of a row are taken over, and where a gradient's (x - center) comes from.
enum class RowSource {
  moments,  ///< x itself: sums of (x - center) and its square
  input,    ///< x
  output,   ///< y = act(z), with a slope above 0
  sum,      ///< y = act(z) + r
};

/// The rows that sums are taken over; r is null but for RowSource::sum, dy for moments.
template <typename T>
struct GradientRows {
  const T* x;  ///< or y
  const T* r;
  const T* dy;

  DAYBREAK_INLINE GradientRows at(std::int64_t offset) const {
    return {x + offset, r ? r + offset : nullptr, dy ? dy + offset : nullptr};
  }
};

struct RowPoint {
  float d;  ///< x - center
  float g;  ///< dy * act'(z)
};

template <RowSource S, typename T>
DAYBREAK_INLINE RowPoint gradient_point(const GradientRows<T>& rows, int l, const NormLanes& k) {
  float d, z;
  if constexpr (S == RowSource::input) {
    d = to_float(rows.x[l]) - k.center[l];
    z = d * k.scale[l] + k.shift[l];
  } else {
    z = to_float(rows.x[l]);
    if constexpr (S == RowSource::sum) z -= to_float(rows.r[l]);
    d = ((z > 0.0f ? z : z * k.up) - k.shift[l]) * k.inverse[l];
  }
  const float dy = to_float(rows.dy[l]);
  return {d, z > 0.0f ? dy : k.slope * dy};
}

constexpr int kMaxLanes = 64;
/// Rows that are summed in float before the sums go to double.
constexpr std::int64_t kRowsInFloat = 512;

constexpr int unroll(int w) {
  return w == 8 || w == 16 ? 4 : 1;
}

/// Two sums over rows: of (x - center) and its square, or of g and g * (x - center) with
/// g = dy * act'(z). Four rows are summed side by side to hide the latency of the adds.
template <int W, RowSource S>
struct RowSums {
  static constexpr int kUnroll = unroll(W);
  static constexpr int kWidth = W > 0 ? W : kMaxLanes;
  float a[kUnroll][kWidth];
  float b[kUnroll][kWidth];

  DAYBREAK_INLINE void clear() {
    for (int u = 0; u < kUnroll; ++u)
      for (int l = 0; l < kWidth; ++l) a[u][l] = b[u][l] = 0.0f;
  }

  template <typename T>
  DAYBREAK_INLINE void add_row(int u, const GradientRows<T>& in, int lanes, const NormLanes& k) {
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      if constexpr (S == RowSource::moments) {
        const float d = to_float(in.x[l]) - k.center[l];
        a[u][l] += d;
        b[u][l] += d * d;
      } else {
        const RowPoint point = gradient_point<S>(in, l, k);
        a[u][l] += point.g;
        b[u][l] += point.g * point.d;
      }
    }
  }

  template <typename T>
  DAYBREAK_INLINE void add(const GradientRows<T>& in, std::int64_t rows, std::int64_t stride,
                           int lanes, const NormLanes& k) {
    std::int64_t r = 0;
    for (; r + kUnroll <= rows; r += kUnroll) {
#pragma GCC unroll 4
      for (int u = 0; u < kUnroll; ++u) add_row(u, in.at((r + u) * stride), lanes, k);
    }
    for (; r < rows; ++r) add_row(0, in.at(r * stride), lanes, k);
  }

  /// Adds the sums to out_a[lanes] and out_b[lanes].
  DAYBREAK_INLINE void flush(int lanes, double* out_a, double* out_b) {
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      double sum_a = 0.0, sum_b = 0.0;
      for (int u = 0; u < kUnroll; ++u) {
        sum_a += a[u][l];
        sum_b += b[u][l];
      }
      out_a[l] += sum_a;
      out_b[l] += sum_b;
    }
    clear();
  }
};

/// y = act(z), with Sum y = act(z) + r; y may be x.
template <int W, bool Sum = false, typename T>
DAYBREAK_INLINE void norm_apply(const T* x, const T* residual, T* y, std::int64_t rows,
                                std::int64_t stride, int lanes, const NormLanes& k) {
  const bool relu = k.slope == 0.0f;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = x + r * stride;
    const T* more = Sum ? residual + r * stride : nullptr;
    T* out = y + r * stride;
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      const float z = (to_float(in[l]) - k.center[l]) * k.scale[l] + k.shift[l];
      const float negative = relu ? 0.0f : k.slope * z;  // 0 * inf would be NaN
      const float value = z < 0.0f ? negative : z;
      put(out[l], Sum ? value + to_float(more[l]) : value);
    }
  }
}

/// dx = scale * (g - k1 - k2 * (x - center)); dx may be dy.
template <int W, RowSource S, typename T>
DAYBREAK_INLINE void norm_apply_gradient(const GradientRows<T>& rows_in, T* dx, std::int64_t rows,
                                         std::int64_t stride, int lanes, const NormLanes& k) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const GradientRows<T> in = rows_in.at(r * stride);
    T* out = dx + r * stride;
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      const RowPoint point = gradient_point<S>(in, l, k);
      put(out[l], k.scale[l] * (point.g - k.k1[l] - k.k2[l] * point.d));
    }
  }
}

/// A plain plane (one channel, pixels side by side) is walked as rows of 16 lanes that share one
/// channel's constants, and a shorter last row. `Lanes` holds the copies.
struct SharedLanes {
  static constexpr int kLanes = 16;
  float values[6][kLanes];
  NormLanes lanes;

  DAYBREAK_INLINE SharedLanes(const NormLanes& k, std::int64_t channel) {
    const float* from[6] = {k.center, k.scale, k.shift, k.k1, k.k2, k.inverse};
    for (int i = 0; i < 6; ++i) {
      const float value = from[i] ? from[i][channel] : 0.0f;
      for (int l = 0; l < kLanes; ++l) values[i][l] = value;
    }
    lanes = {values[0], values[1], values[2], values[3], values[4], k.slope, values[5], k.up};
  }
};

}  // namespace daybreak
