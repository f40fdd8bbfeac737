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
  float slope;  ///< of negative z: 1 without an activation, 0 for relu
};

constexpr int kMaxLanes = 64;
/// Rows that are summed in float before the sums go to double.
constexpr std::int64_t kRowsInFloat = 512;

constexpr int unroll(int w) {
  return w == 8 || w == 16 ? 4 : 1;
}

/// Two sums over rows: Gradient: g and g * (x - center) with g = dy * act'(z); else (x - center)
/// and its square. Four rows are summed side by side to hide the latency of the adds.
template <int W, bool Gradient>
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
  DAYBREAK_INLINE void add_row(int u, const T* x, const T* dy, int lanes, const NormLanes& k) {
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      const float d = to_float(x[l]) - k.center[l];
      if constexpr (Gradient) {
        const float z = d * k.scale[l] + k.shift[l];
        const float g = z > 0.0f ? to_float(dy[l]) : k.slope * to_float(dy[l]);
        a[u][l] += g;
        b[u][l] += g * d;
      } else {
        a[u][l] += d;
        b[u][l] += d * d;
      }
    }
  }

  template <typename T>
  DAYBREAK_INLINE void add(const T* x, const T* dy, std::int64_t rows, std::int64_t stride,
                           int lanes, const NormLanes& k) {
    std::int64_t r = 0;
    for (; r + kUnroll <= rows; r += kUnroll) {
#pragma GCC unroll 4
      for (int u = 0; u < kUnroll; ++u) {
        add_row(u, x + (r + u) * stride, dy + (r + u) * stride, lanes, k);
      }
    }
    for (; r < rows; ++r) add_row(0, x + r * stride, dy + r * stride, lanes, k);
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

/// y = act(z).
template <int W, typename T>
DAYBREAK_INLINE void norm_apply(const T* x, T* y, std::int64_t rows, std::int64_t stride, int lanes,
                                const NormLanes& k) {
  const bool relu = k.slope == 0.0f;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = x + r * stride;
    T* out = y + r * stride;
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      const float z = (to_float(in[l]) - k.center[l]) * k.scale[l] + k.shift[l];
      const float negative = relu ? 0.0f : k.slope * z;  // 0 * inf would be NaN
      put(out[l], z < 0.0f ? negative : z);
    }
  }
}

/// dx = scale * (g - k1 - k2 * (x - center)); dx may be dy.
template <int W, typename T>
DAYBREAK_INLINE void norm_apply_gradient(const T* x, const T* dy, T* dx, std::int64_t rows,
                                         std::int64_t stride, int lanes, const NormLanes& k) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = x + r * stride;
    const T* gradient = dy + r * stride;
    T* out = dx + r * stride;
#pragma omp simd
    for (int l = 0; l < (W > 0 ? W : lanes); ++l) {
      const float d = to_float(in[l]) - k.center[l];
      const float z = d * k.scale[l] + k.shift[l];
      const float g = z > 0.0f ? to_float(gradient[l]) : k.slope * to_float(gradient[l]);
      put(out[l], k.scale[l] * (g - k.k1[l] - k.k2[l] * d));
    }
  }
}

/// A plain plane (one channel, pixels side by side) is walked as rows of 16 lanes that share one
/// channel's constants, and a shorter last row. `Lanes` holds the copies.
struct SharedLanes {
  static constexpr int kLanes = 16;
  float values[5][kLanes];
  NormLanes lanes;

  DAYBREAK_INLINE SharedLanes(const NormLanes& k, std::int64_t channel) {
    const float* from[5] = {k.center, k.scale, k.shift, k.k1, k.k2};
    for (int i = 0; i < 5; ++i) {
      const float value = from[i] ? from[i][channel] : 0.0f;
      for (int l = 0; l < kLanes; ++l) values[i][l] = value;
    }
    lanes = {values[0], values[1], values[2], values[3], values[4], k.slope};
  }
};

}  // namespace daybreak
