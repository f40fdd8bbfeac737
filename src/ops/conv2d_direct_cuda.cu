// Convolution by plain sums, channels last, for what cuDNN has no engine for. Forward and data
// gradient: one thread per output number; weight gradient: one warp per weight, lanes striding over
// the output pixels. Slow and simple; sums in f32 in a fixed order.

#include "backend/cuda/conv_problem.h"
#include "backend/cuda/device.cuh"

namespace daybreak::cuda {
namespace {

/// The problem in the form that device code uses.
struct Geometry {
  int n, ic, oc;
  ConvAxis h, w;
  int ic_group, oc_group;  ///< channels of a group

  __device__ std::int64_t x_at(int sample, int row, int column) const {
    return ((static_cast<std::int64_t>(sample) * h.in + row) * w.in + column) * ic;
  }
  __device__ std::int64_t y_at(int sample, int row, int column) const {
    return ((static_cast<std::int64_t>(sample) * h.out + row) * w.out + column) * oc;
  }
  /// Weights lie [OC, KH, KW, IC / groups].
  __device__ std::int64_t w_at(int o, int kh, int kw) const {
    return ((static_cast<std::int64_t>(o) * h.size + kh) * w.size + kw) * ic_group;
  }
};

Geometry geometry(const ConvProblem& p) {
  Geometry g{};
  g.n = p.x.n, g.ic = p.x.c, g.oc = p.y.c;
  g.h = {p.x.h, p.y.h, p.w.h, p.stride_h, p.pad_h, p.dilation_h};
  g.w = {p.x.w, p.y.w, p.w.w, p.stride_w, p.pad_w, p.dilation_w};
  g.ic_group = p.w.c;
  g.oc_group = p.y.c / (p.x.c / p.w.c);
  return g;
}

template <class T, class W>
__global__ void direct_forward_kernel(const T* x, const W* w, T* y, Geometry g) {
  const int row = launch_row(), o = launch_column();
  if (row >= g.n * g.h.out * g.w.out || o >= g.oc) return;
  const int ow = row % g.w.out, oh = row / g.w.out % g.h.out, n = row / g.w.out / g.h.out;
  const int first = o / g.oc_group * g.ic_group;
  float sum = 0.0f;
  for (int kh = 0; kh < g.h.size; ++kh) {
    const int ih = conv_input(g.h, oh, kh);
    if (ih < 0) continue;
    for (int kw = 0; kw < g.w.size; ++kw) {
      const int iw = conv_input(g.w, ow, kw);
      if (iw < 0) continue;
      const T* from = x + g.x_at(n, ih, iw) + first;
      const W* weights = w + g.w_at(o, kh, kw);
      for (int i = 0; i < g.ic_group; ++i) sum += to_float(from[i]) * to_float(weights[i]);
    }
  }
  y[static_cast<std::int64_t>(row) * g.oc + o] = from_float<T>(sum);
}

template <class T, class W>
__global__ void direct_backward_data_kernel(T* dx, const W* w, const T* dy, Geometry g) {
  const int row = launch_row(), c = launch_column();
  if (row >= g.n * g.h.in * g.w.in || c >= g.ic) return;
  const int iw = row % g.w.in, ih = row / g.w.in % g.h.in, n = row / g.w.in / g.h.in;
  const int group = c / g.ic_group, i = c % g.ic_group;
  float sum = 0.0f;
  for (int kh = 0; kh < g.h.size; ++kh) {
    const int oh = conv_output(g.h, ih, kh);
    if (oh < 0) continue;
    for (int kw = 0; kw < g.w.size; ++kw) {
      const int ow = conv_output(g.w, iw, kw);
      if (ow < 0) continue;
      const T* from = dy + g.y_at(n, oh, ow);
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
  if (index >= static_cast<std::int64_t>(g.oc) * g.h.size * g.w.size * g.ic_group) return;
  const int i = static_cast<int>(index % g.ic_group);
  const int kw = static_cast<int>(index / g.ic_group % g.w.size);
  const int kh = static_cast<int>(index / g.ic_group / g.w.size % g.h.size);
  const int o = static_cast<int>(index / g.ic_group / g.w.size / g.h.size);
  const int c = o / g.oc_group * g.ic_group + i;
  const int rows = g.n * g.h.out * g.w.out;
  float sum = 0.0f;
  for (int row = threadIdx.x % kWarp; row < rows; row += kWarp) {
    const int ow = row % g.w.out, oh = row / g.w.out % g.h.out, n = row / g.w.out / g.h.out;
    const int ih = conv_input(g.h, oh, kh), iw = conv_input(g.w, ow, kw);
    if (ih < 0 || iw < 0) continue;
    sum += to_float(x[g.x_at(n, ih, iw) + c]) *
           to_float(dy[static_cast<std::int64_t>(row) * g.oc + o]);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) dw[index] = from_float<W>(sum);
}

template <class T, class W>
void launch(const Context& context, const ConvProblem& problem, void* x, void* w, void* y) {
  const Geometry g = geometry(problem);
  const cudaStream_t stream = context.stream();
  if (problem.direction == ConvDirection::forward) {
    const RowLaunch rows = row_launch(static_cast<std::int64_t>(g.n) * g.h.out * g.w.out, g.oc);
    direct_forward_kernel<T, W><<<rows.grid, rows.block, 0, stream>>>(
        static_cast<const T*>(x), static_cast<const W*>(w), static_cast<T*>(y), g);
  } else if (problem.direction == ConvDirection::backward_data) {
    const RowLaunch rows = row_launch(static_cast<std::int64_t>(g.n) * g.h.in * g.w.in, g.ic);
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
