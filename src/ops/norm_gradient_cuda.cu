// The gradients of batch norm and instance norm, channels last.
//
// Backward reads x and dy twice and writes dx (5 passes of element size). A batch norm in place
// (BatchNorm::in_place) finds x again from y, and subtracts a sum's residual first. With the
// activation behind the sum (BatchNorm::act_last) the first pass also writes the gradient in front
// of it, which is the residual's and what the second pass reads. Where a convolution has
// summed up (BatchNorm::chained), only the second pass is left. Every sum has a fixed
// order.

#include "backend/cuda/launch.h"
#include "ops/norm_cuda.cuh"

namespace daybreak::cuda {
namespace {

/// Sums of g and g * xhat, with g the gradient in front of the activation.
template <class T, int V, NormSource S>
struct GradientTerm {
  static constexpr int kSums = 2;
  const T* x;     // or y
  const T* more;  // the second tensor, or null
  const T* dy;
  T* g;  // NormSource::act_last: where g goes, which is the residual's gradient too, or null
  NormStatistics statistics;
  Activation act;
  int channels;
  ChannelNorm<V> norm;

  __device__ void begin(int group, int channel) { norm.load(statistics, group, channel, channels); }
  __device__ void add(std::int64_t at, float (&sums)[2][V]) const {
    const Pack<T, V> px = load_pack<T, V>(x + at), pdy = load_pack<T, V>(dy + at);
    Pack<T, V> pm = px, pg = px;
    if constexpr (reads_more(S)) pm = load_pack<T, V>(more + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const NormPoint point = norm.template point<T, S>(v, to_float(px.v[v]), to_float(pm.v[v]),
                                                        to_float(pdy.v[v]), act);
      sums[0][v] += point.g;
      sums[1][v] += point.g * point.hat;
      pg.v[v] = from_float<T>(point.g);
    }
    if constexpr (S == NormSource::act_last) {
      if (g != nullptr) store_pack(g + at, pg);
    }
  }
};

/// Sums of every group; of a single one they are the gradients of shift and scale.
__global__ void gradient_totals_kernel(ColumnShape shape, const float* partial, float* totals,
                                       float* dscale, float* dshift) {
  const int group = blockIdx.y, channel = total_channel();
  const double g = column_total(partial, shape, group);
  const double gx = column_total(partial + shape.partials(), shape, group);
  if (threadIdx.y != 0 || channel >= shape.channels) return;
  const int all = shape.groups * shape.channels, at = group * shape.channels + channel;
  totals[at] = static_cast<float>(g);
  totals[all + at] = static_cast<float>(gx);
  if (shape.groups > 1) return;
  if (dscale != nullptr) dscale[channel] = static_cast<float>(gx);
  if (dshift != nullptr) dshift[channel] = static_cast<float>(g);
}

/// The gradients of scale and shift from the sums of several groups: one thread per channel.
__global__ void group_gradients_kernel(ColumnShape shape, const float* totals, float* dscale,
                                       float* dshift) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= shape.channels) return;
  const int all = shape.groups * shape.channels;
  double g = 0.0, gx = 0.0;
  for (int at = channel; at < all; at += shape.channels) {
    g += totals[at];
    gx += totals[all + at];
  }
  if (dscale != nullptr) dscale[channel] = static_cast<float>(gx);
  if (dshift != nullptr) dshift[channel] = static_cast<float>(g);
}

/// dx = scale * inverse * (g - mean(g) - xhat * mean(g * xhat)); the means are left out when the
/// statistics are constants (null totals).
template <class T, int V, NormSource S>
__global__ void __launch_bounds__(kThreads)
    norm_backward_kernel(const T* x, const T* more, const T* dy, T* dx, ColumnShape shape,
                         NormStatistics statistics, Activation act, const float* totals) {
  const int channel = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  if (channel >= shape.channels) return;
  ChannelNorm<V> norm;
  norm.load(statistics, blockIdx.z, channel, shape.channels);
  float mean_g[V] = {}, mean_gx[V] = {};
  if (totals != nullptr) {
    const float inverse_rows = 1.0f / static_cast<float>(shape.rows);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int at = blockIdx.z * shape.channels + channel + v;
      mean_g[v] = totals[at] * inverse_rows;
      mean_gx[v] = totals[shape.groups * shape.channels + at] * inverse_rows;
    }
  }
  for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < shape.rows;
       row += gridDim.y * blockDim.y) {
    const std::int64_t at =
        (static_cast<std::int64_t>(blockIdx.z) * shape.rows + row) * shape.channels + channel;
    const Pack<T, V> px = load_pack<T, V>(x + at), pdy = load_pack<T, V>(dy + at);
    Pack<T, V> pm = px, result;
    if constexpr (reads_more(S)) pm = load_pack<T, V>(more + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const NormPoint point = norm.template point<T, S>(v, to_float(px.v[v]), to_float(pm.v[v]),
                                                        to_float(pdy.v[v]), act);
      result.v[v] = from_float<T>(norm.scale[v] * norm.inverse[v] *
                                  (point.g - mean_g[v] - point.hat * mean_gx[v]));
    }
    store_pack(dx + at, result);
  }
}

void launch_totals(const Context& context, const ColumnShape& shape, const float* partial,
                   float* totals, float* dscale, float* dshift) {
  const ColumnLaunch total = total_launch(shape.channels, shape.groups);
  gradient_totals_kernel<<<total.grid, total.block, 0, context.stream()>>>(shape, partial, totals,
                                                                           dscale, dshift);
  check_launch("norm gradient sums kernel");
  if (shape.groups == 1 || (dscale == nullptr && dshift == nullptr)) return;
  group_gradients_kernel<<<(shape.channels + kThreads - 1) / kThreads, kThreads, 0,
                           context.stream()>>>(shape, totals, dscale, dshift);
  check_launch("norm gradient sums kernel");
}

/// What training's forward pass has left.
NormStatistics saved_statistics(const ColumnShape& shape, const NormAttrs& attrs,
                                const Bindings& b) {
  const float* mean = as<const float>(b.aux);
  return {mean, mean + shape.groups * shape.channels, -1.0f,
          attrs.affine ? as<float>(b.w[0]) : nullptr, attrs.affine ? as<float>(b.w[1]) : nullptr};
}

template <class T, NormSource S>
void backward_from(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                   const Bindings& b) {
  constexpr bool kReadsInput = S == NormSource::input || S == NormSource::act_last;
  const T* x = as<const T>(kReadsInput ? b.x[0] : b.y);
  const T* more = nullptr;
  if constexpr (reads_more(S)) more = as<const T>(S == NormSource::sum ? b.x[1] : b.y);
  const T* dy = as<const T>(b.dy);
  T* g = S == NormSource::act_last ? entry<T>(b.dx, 1) : nullptr;
  T* dx = entry<T>(b.dx, 0);
  const auto gradient = [&](std::size_t i) {
    return attrs.affine ? entry<float>(b.dw, i) : nullptr;
  };
  const int all = shape.groups * shape.channels;
  const NormStatistics statistics =
      attrs.use_running ? running_statistics(attrs, b) : saved_statistics(shape, attrs, b);
  float* totals = as<float>(b.workspace);
  float* partial = totals + 2 * all;
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch sums = column_launch(shape, V);
    column_sums_kernel<V><<<sums.grid, sums.block, 0, context.stream()>>>(
        GradientTerm<T, V, S>{x, more, dy, g, statistics, attrs.act, shape.channels, {}}, shape,
        partial);
    check_launch("norm gradient sums kernel");
    launch_totals(context, shape, partial, totals, gradient(0), gradient(1));
    if (dx == nullptr) return;
    const ColumnLaunch apply = apply_launch(shape, V);
    const float* sums_of_all = attrs.use_running ? nullptr : totals;
    if (g != nullptr) {  // dy may lie where dx goes; g is the gradient from here on
      norm_backward_kernel<T, V, NormSource::input>
          <<<apply.grid, apply.block, 0, context.stream()>>>(x, nullptr, g, dx, shape, statistics,
                                                             Activation{}, sums_of_all);
    } else {
      norm_backward_kernel<T, V, S><<<apply.grid, apply.block, 0, context.stream()>>>(
          x, more, dy, dx, shape, statistics, attrs.act, sums_of_all);
    }
    check_launch("norm backward kernel");
  });
}

/// The rest of it where the convolution behind the norm has summed up (Conv2d::chain).
template <class T>
void backward_chained(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                      const Bindings& b) {
  const float* totals = as<const float>(b.statistics);
  float *dscale = entry<float>(b.dw, 0), *dshift = entry<float>(b.dw, 1);
  if (attrs.affine && (dscale != nullptr || dshift != nullptr)) {
    group_gradients_kernel<<<(shape.channels + kThreads - 1) / kThreads, kThreads, 0,
                             context.stream()>>>(shape, totals, dscale, dshift);
    check_launch("norm gradient sums kernel");
  }
  T* dx = entry<T>(b.dx, 0);
  if (dx == nullptr) return;
  const NormStatistics statistics = saved_statistics(shape, attrs, b);
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch apply = apply_launch(shape, V);
    norm_backward_kernel<T, V, NormSource::input><<<apply.grid, apply.block, 0, context.stream()>>>(
        as<const T>(b.x[0]), nullptr, as<const T>(b.dy), dx, shape, statistics, attrs.act, totals);
    check_launch("norm backward kernel");
  });
}

template <class T>
void backward(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
              const Bindings& b) {
  if (attrs.chained) return backward_chained<T>(context, shape, attrs, b);
  if (attrs.act_last) return backward_from<T, NormSource::act_last>(context, shape, attrs, b);
  // The residual's gradient is the sum's; dx[0] may be written over it next.
  if (T* more = attrs.sum ? entry<T>(b.dx, 1) : nullptr) {
    const std::size_t count = static_cast<std::size_t>(shape.rows) * shape.channels;
    check(
        cudaMemcpyAsync(more, b.dy, count * sizeof(T), cudaMemcpyDeviceToDevice, context.stream()),
        "cudaMemcpyAsync");
  }
  if (!attrs.in_place) return backward_from<T, NormSource::input>(context, shape, attrs, b);
  if (attrs.sum) return backward_from<T, NormSource::sum>(context, shape, attrs, b);
  backward_from<T, NormSource::output>(context, shape, attrs, b);
}

}  // namespace

void launch_norm_backward(const Context& context, DType dtype, const ColumnShape& shape,
                          const NormAttrs& attrs, const Bindings& bindings) {
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    backward<T>(context, shape, attrs, bindings);
  });
}

void launch_norm_gradient(const Context& context, DType dtype, const NormGradient& call,
                          const ColumnShape& shape, float* workspace, float* totals) {
  const NormStatistics statistics{call.mean, call.inverse, -1.0f, call.scale, call.shift};
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    dispatch_pack<T>(shape.channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const ColumnLaunch sums = column_launch(shape, V);
      column_sums_kernel<V><<<sums.grid, sums.block, 0, context.stream()>>>(
          GradientTerm<T, V, NormSource::input>{static_cast<const T*>(call.x),
                                                nullptr,
                                                static_cast<const T*>(call.gradient),
                                                nullptr,
                                                statistics,
                                                {ActKind::relu},
                                                shape.channels,
                                                {}},
          shape, workspace);
      check_launch("norm gradient sums kernel");
    });
  });
  launch_totals(context, shape, workspace, totals, nullptr, nullptr);
}

}  // namespace daybreak::cuda
