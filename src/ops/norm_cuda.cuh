#pragma once

#include <algorithm>

#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernel.h"

// What the kernels of norms share. A norm sees `groups` matrices of rows x channels, channels last:
// batch norm one of N*H*W rows, instance norm N of H*W rows.
namespace daybreak::cuda {

/// Attributes of both norms, as kernels want them.
struct NormAttrs {
  bool batch = true;  ///< batch norm: running statistics, one group
  bool affine = true;
  float eps = 1e-5f;
  float momentum = 0.1f;
  Activation act;
  bool use_running = false;  ///< normalise with the running statistics
  bool in_place = false;     ///< backward reads y instead of x
  bool sum = false;          ///< y = act(...) + a second input
  bool act_last = false;     ///< y = act(... + the second input)
  bool measured = false;     ///< training is given the batch's statistics
  bool chained = false;      ///< backward is given the sums of its first pass
  bool deferred = false;     ///< training leaves its output to the convolution behind it
};

/// Where a residual is added.
enum class NormSum : std::uint8_t {
  none,
  behind,  ///< the activation
  told,    ///< behind it, so that y - residual has the activation's sign (sum_with_sign)
  before,  ///< the activation
};

/// a + residual, rounded to nearest. Where that would leave the residual of a positive a, whose
/// slope backward could then not tell, it is the next number above; infinities stay.
template <class T>
__device__ __forceinline__ T sum_with_sign(float a, T residual) {
  const float other = to_float(residual);
  const T sum = from_float<T>(a + other);
  const bool lost = a > 0.0f && to_float(sum) == other, finite = other - other == 0.0f;
  return lost && finite ? next_above(residual) : sum;
}

/// The share of |shift| that |scale| must exceed for a normalised value to be found again from an
/// output of type T: below it the rounding of the output alone is off by a quarter of a deviation.
template <class T>
inline constexpr double kLeastScale = 1e-5;
template <>
inline constexpr double kLeastScale<__nv_bfloat16> = 1.0 / 128;
template <>
inline constexpr double kLeastScale<__half> = 1.0 / 1024;

/// Where backward has a normalised value from, and with which second tensor.
enum class NormSource : std::uint8_t {
  input,     ///< x
  output,    ///< y = act(z)
  sum,       ///< y = act(z) + residual: the residual
  act_last,  ///< x, and y = act(z + residual): y
};

/// A normalised value and the gradient in front of the activation.
struct NormPoint {
  float hat, g;
};

/// Where the numbers of a channel come from. Null scale and shift mean 1 and 0.
struct NormStatistics {
  const float* mean;     // [groups, channels]
  const float* inverse;  // 1 / sqrt(var + eps), or the variance itself when `eps` is given
  float eps;             // >= 0: `inverse` is a variance
  const float* scale;    // [channels]
  const float* shift;
};

/// The numbers of V channels in registers.
template <int V>
struct ChannelNorm {
  float mean[V], inverse[V], scale[V], shift[V];

  __device__ void load(const NormStatistics& s, int group, int channel, int channels) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int at = group * channels + channel + v;
      mean[v] = s.mean[at];
      inverse[v] = s.eps >= 0.0f ? 1.0f / sqrtf(s.inverse[at] + s.eps) : s.inverse[at];
      scale[v] = s.scale != nullptr ? s.scale[channel + v] : 1.0f;
      shift[v] = s.shift != nullptr ? s.shift[channel + v] : 0.0f;
    }
  }
  __device__ float hat(int v, float x) const {
    return (x - mean[v]) * inverse[v];
  }
  __device__ float value(int v, float x) const {
    return hat(v, x) * scale[v] + shift[v];
  }
  /// `from`: x or y, of type T; `more`: the second tensor of NormSource::sum and act_last.
  template <class T, NormSource S>
  __device__ NormPoint point(int v, float from, float more, float dy, Activation act) const {
    if constexpr (S == NormSource::act_last) {
      return {hat(v, from), dy * activation_slope(act, more)};
    }
    if constexpr (S == NormSource::input) {
      const float y = activate(act, value(v, from));
      return {hat(v, from), dy * activation_slope(act, y)};
    }
    const float a = S == NormSource::sum ? from - more : from;
    const float z = act.kind == ActKind::leaky && !(a > 0.0f) ? a / act.slope : a;
    return {found(v, kLeastScale<T>) ? (z - shift[v]) / scale[v] : 0.0f,
            dy * activation_slope(act, a)};
  }
  /// As recoverable(), on the device.
  __device__ bool found(int v, double least) const {
    const double size = fabs(static_cast<double>(scale[v]));
    return size > least * fabs(static_cast<double>(shift[v])) && scale[v] != 0.0f;
  }
};

constexpr bool reads_more(NormSource source) {
  return source == NormSource::sum || source == NormSource::act_last;
}

/// The launch of the elementwise kernels: as the sums, with enough blocks over the rows.
inline ColumnLaunch apply_launch(const ColumnShape& shape, int pack) {
  ColumnLaunch launch = column_launch(shape, pack);
  const int most =
      (shape.rows + static_cast<int>(launch.block.y) - 1) / static_cast<int>(launch.block.y);
  const int wanted = 132 * 16 / static_cast<int>(launch.grid.x);
  launch.grid.y = static_cast<unsigned>(std::max(1, std::min(most, wanted)));
  return launch;
}

inline NormStatistics running_statistics(const NormAttrs& attrs, const Bindings& b) {
  const int first = attrs.affine ? 2 : 0;
  return {as<float>(b.w[first]), as<float>(b.w[first + 1]), attrs.eps,
          attrs.affine ? as<float>(b.w[0]) : nullptr, attrs.affine ? as<float>(b.w[1]) : nullptr};
}

/// Backward of both norms (norm_gradient_cuda.cu). Workspace: 2 * groups * channels floats, then
/// 2 * shape.partials().
void launch_norm_backward(const Context& context, DType dtype, const ColumnShape& shape,
                          const NormAttrs& attrs, const Bindings& bindings);

}  // namespace daybreak::cuda
