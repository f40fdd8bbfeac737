// Convolution by plain sums, channels last, for what cuDNN has no engine for. Forward and data
// gradient: one thread per output number; weight gradient: one warp per weight, lanes striding over
// the output pixels. Slow and simple; sums in f32 in a fixed order.

#include "backend/cuda/conv_problem.h"
#include "backend/cuda/device.cuh"

namespace daybreak::cuda {
namespace {

/// The problem in the form that device code uses.
struct Geometry {
  int n, ic, ih, iw, oc, oh, ow, kh, kw;
  int ic_group, oc_group;  ///< channels of a group
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  __device__ std::int64_t x_at(int sample, int h, int w) const {
    return ((static_cast<std::int64_t>(sample) * ih + h) * iw + w) * ic;
  }
  __device__ std::int64_t y_at(int sample, int h, int w) const {
    return ((static_cast<std::int64_t>(sample) * oh + h) * ow + w) * oc;
  }
  /// Weights lie [OC, KH, KW, IC / groups].
  __device__ std::int64_t w_at(int o, int h, int w) const {
    return ((static_cast<std::int64_t>(o) * kh + h) * kw + w) * ic_group;
  }
};

Geometry geometry(const ConvProblem& p) {
  Geometry g{};
  g.n = p.x.n, g.ic = p.x.c, g.ih = p.x.h, g.iw = p.x.w;
  g.oc = p.y.c, g.oh = p.y.h, g.ow = p.y.w, g.kh = p.w.h, g.kw = p.w.w;
  g.ic_group = p.w.c;
  g.oc_group = p.y.c / (p.x.c / p.w.c);
  g.stride_h = p.stride_h, g.stride_w = p.stride_w;
  g.pad_h = p.pad_h, g.pad_w = p.pad_w;
  g.dilation_h = p.dilation_h, g.dilation_w = p.dilation_w;
  return g;
}

template <class T, class W>
__global__ void direct_forward_kernel(const T* x, const W* w, T* y, Geometry g) {
  const int row = launch_row(), o = launch_column();
  if (row >= g.n * g.oh * g.ow || o >= g.oc) return;
  const int ow = row % g.ow, oh = row / g.ow % g.oh, n = row / g.ow / g.oh;
  const int first = o / g.oc_group * g.ic_group;
  float sum = 0.0f;
  for (int kh = 0; kh < g.kh; ++kh) {
    const int h = oh * g.stride_h - g.pad_h + kh * g.dilation_h;
    if (h < 0 || h >= g.ih) continue;
    for (int kw = 0; kw < g.kw; ++kw) {
      const int iw = ow * g.stride_w - g.pad_w + kw * g.dilation_w;
      if (iw < 0 || iw >= g.iw) continue;
      const T* from = x + g.x_at(n, h, iw) + first;
      const W* weights = w + g.w_at(o, kh, kw);
      for (int i = 0; i < g.ic_group; ++i) sum += to_float(from[i]) * to_float(weights[i]);
    }
  }
  y[static_cast<std::int64_t>(row) * g.oc + o] = from_float<T>(sum);
}

template <class T, class W>
__global__ void direct_backward_data_kernel(T* dx, const W* w, const T* dy, Geometry g) {
  const int row = launch_row(), c = launch_column();
  if (row >= g.n * g.ih * g.iw || c >= g.ic) return;
  const int iw = row % g.iw, ih = row / g.iw % g.ih, n = row / g.iw / g.ih;
  const int group = c / g.ic_group, i = c % g.ic_group;
  float sum = 0.0f;
  for (int kh = 0; kh < g.kh; ++kh) {
    const int h = ih + g.pad_h - kh * g.dilation_h;
    if (h < 0 || h % g.stride_h != 0 || h / g.stride_h >= g.oh) continue;
    for (int kw = 0; kw < g.kw; ++kw) {
      const int v = iw + g.pad_w - kw * g.dilation_w;
      if (v < 0 || v % g.stride_w != 0 || v / g.stride_w >= g.ow) continue;
      const T* from = dy + g.y_at(n, h / g.stride_h, v / g.stride_w);
      for (int o = group * g.oc_group; o < (group + 1) * g.oc_group; ++o) {
        sum += to_float(from[o]) * to_float(w[g.w_at(o, kh, kw) + i]);
      }
    }
  }
  dx[static_cast<std::int64_t>(row) * g.ic + c] = from_float<T>(sum);
}

template <class T, class W>
__global__ void direct_backward_weights_kernel(const T* x, W* dw, const T* dy, Geometry g) {
  const std::int64_t index =
      static_cast<std::int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (index >= static_cast<std::int64_t>(g.oc) * g.kh * g.kw * g.ic_group) return;
  const int i = static_cast<int>(index % g.ic_group);
  const int kw = static_cast<int>(index / g.ic_group % g.kw);
  const int kh = static_cast<int>(index / g.ic_group / g.kw % g.kh);
  const int o = static_cast<int>(index / g.ic_group / g.kw / g.kh);
  const int c = o / g.oc_group * g.ic_group + i;
  const int rows = g.n * g.oh * g.ow;
  float sum = 0.0f;
  for (int row = threadIdx.x % kWarp; row < rows; row += kWarp) {
    const int ow = row % g.ow, oh = row / g.ow % g.oh, n = row / g.ow / g.oh;
    const int h = oh * g.stride_h - g.pad_h + kh * g.dilation_h;
    const int w = ow * g.stride_w - g.pad_w + kw * g.dilation_w;
    if (h < 0 || h >= g.ih || w < 0 || w >= g.iw) continue;
    sum +=
        to_float(x[g.x_at(n, h, w) + c]) * to_float(dy[static_cast<std::int64_t>(row) * g.oc + o]);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) dw[index] = from_float<W>(sum);
}

template <class T, class W>
void launch(const Context& context, const ConvProblem& problem, void* x, void* w, void* y) {
  const Geometry g = geometry(problem);
  const cudaStream_t stream = context.stream();
  if (problem.direction == ConvDirection::forward) {
    const RowLaunch rows = row_launch(static_cast<std::int64_t>(g.n) * g.oh * g.ow, g.oc);
    direct_forward_kernel<T, W><<<rows.grid, rows.block, 0, stream>>>(
        static_cast<const T*>(x), static_cast<const W*>(w), static_cast<T*>(y), g);
  } else if (problem.direction == ConvDirection::backward_data) {
    const RowLaunch rows = row_launch(static_cast<std::int64_t>(g.n) * g.ih * g.iw, g.ic);
    direct_backward_data_kernel<T, W><<<rows.grid, rows.block, 0, stream>>>(
        static_cast<T*>(x), static_cast<const W*>(w), static_cast<const T*>(y), g);
  } else {
    constexpr int kWarps = kThreads / kWarp;
    const std::int64_t blocks = (problem.w.count() + kWarps - 1) / kWarps;
    direct_backward_weights_kernel<T, W><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(
        static_cast<const T*>(x), static_cast<W*>(w), static_cast<const T*>(y), g);
  }
  check_launch("direct convolution kernel");
}

}  // namespace

void launch_direct_conv(const Context& context, const ConvProblem& problem, DType w_type, void* x,
                        void* w, void* y) {
  dispatch_float(problem.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (w_type == DType::f32) return launch<T, float>(context, problem, x, w, y);
    launch<T, T>(context, problem, x, w, y);
  });
}

}  // namespace daybreak::cuda
