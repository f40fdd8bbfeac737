// Batch norm and instance norm, channels last. A norm sees `groups` matrices of rows x channels:
// batch norm one of N*H*W rows, instance norm N of H*W rows.
//
// Training reads x twice and writes y once (3 passes of element size); backward reads x and dy
// twice and writes dx (5 passes). Statistics are sums of differences to the channel's first value,
// so large means do not cancel; every sum has a fixed order.

#include <algorithm>

#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/batchnorm.h"
#include "ops/instancenorm.h"

namespace daybreak::cuda {
namespace {

/// Attributes of both norms, as kernels want them.
struct NormAttrs {
  bool batch = true;  ///< batch norm: running statistics, one group
  bool affine = true;
  float eps = 1e-5f;
  float momentum = 0.1f;
  Activation act;
  bool use_running = false;  ///< normalise with the running statistics
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
};

/// Sums of d and d^2 with d = x - (the group's first value of the channel).
template <class T, int V>
struct StatisticsTerm {
  static constexpr int kSums = 2;
  const T* x;
  int rows, channels;
  float shift[V];

  __device__ void begin(int group, int channel) {
    const std::int64_t first = static_cast<std::int64_t>(group) * rows * channels + channel;
#pragma unroll
    for (int v = 0; v < V; ++v) shift[v] = to_float(x[first + v]);
  }
  __device__ void add(std::int64_t at, float (&sums)[2][V]) const {
    const Pack<T, V> pack = load_pack<T, V>(x + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float d = to_float(pack.v[v]) - shift[v];
      sums[0][v] += d;
      sums[1][v] += d * d;
    }
  }
};

/// Sums of g and g * xhat, with g the gradient in front of the activation.
template <class T, int V>
struct GradientTerm {
  static constexpr int kSums = 2;
  const T* x;
  const T* dy;
  NormStatistics statistics;
  Activation act;
  int channels;
  ChannelNorm<V> norm;

  __device__ void begin(int group, int channel) { norm.load(statistics, group, channel, channels); }
  __device__ void add(std::int64_t at, float (&sums)[2][V]) const {
    const Pack<T, V> px = load_pack<T, V>(x + at), pdy = load_pack<T, V>(dy + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float value = to_float(px.v[v]);
      const float y = activate(act, norm.value(v, value));
      const float g = to_float(pdy.v[v]) * activation_slope(act, y);
      sums[0][v] += g;
      sums[1][v] += g * norm.hat(v, value);
    }
  }
};

/// One thread per (group, channel): mean and 1 / sqrt(var + eps) for aux, running statistics.
template <class T>
__global__ void finalize_statistics_kernel(const T* x, ColumnShape shape, const float* partial,
                                           NormAttrs attrs, float* mean, float* inverse,
                                           float* running_mean, float* running_var) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= shape.groups * shape.channels) return;
  const int group = at / shape.channels, channel = at % shape.channels;
  const double rows = shape.rows;
  const double first =
      to_float(x[static_cast<std::int64_t>(group) * shape.rows * shape.channels + channel]);
  const double offset = column_total(partial, shape, group, channel) / rows;
  const double square = column_total(partial + shape.partials(), shape, group, channel) / rows;
  const double variance = fmax(square - offset * offset, 0.0);
  mean[at] = static_cast<float>(first + offset);
  inverse[at] = static_cast<float>(1.0 / sqrt(variance + attrs.eps));
  if (!attrs.batch) return;
  const float share = attrs.momentum;
  const double unbiased = rows > 1.0 ? variance * rows / (rows - 1.0) : variance;
  running_mean[channel] =
      (1.0f - share) * running_mean[channel] + share * static_cast<float>(first + offset);
  running_var[channel] =
      (1.0f - share) * running_var[channel] + share * static_cast<float>(unbiased);
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(const T* x, T* y, ColumnShape shape, NormStatistics statistics,
                     Activation act) {
  const int channel = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  if (channel >= shape.channels) return;
  ChannelNorm<V> norm;
  norm.load(statistics, blockIdx.z, channel, shape.channels);
  for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < shape.rows;
       row += gridDim.y * blockDim.y) {
    const std::int64_t at =
        (static_cast<std::int64_t>(blockIdx.z) * shape.rows + row) * shape.channels + channel;
    Pack<T, V> pack = load_pack<T, V>(x + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      pack.v[v] = from_float<T>(activate(act, norm.value(v, to_float(pack.v[v]))));
    }
    store_pack(y + at, pack);
  }
}

/// One thread per channel: sums of every group, and the gradients of scale and shift over groups.
__global__ void finalize_gradient_kernel(ColumnShape shape, const float* partial, float* totals,
                                         float* dscale, float* dshift) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= shape.channels) return;
  double scale_sum = 0.0, shift_sum = 0.0;
  const int all = shape.groups * shape.channels;
  for (int group = 0; group < shape.groups; ++group) {
    const double g = column_total(partial, shape, group, channel);
    const double gx = column_total(partial + shape.partials(), shape, group, channel);
    totals[group * shape.channels + channel] = static_cast<float>(g);
    totals[all + group * shape.channels + channel] = static_cast<float>(gx);
    shift_sum += g;
    scale_sum += gx;
  }
  if (dscale != nullptr) dscale[channel] = static_cast<float>(scale_sum);
  if (dshift != nullptr) dshift[channel] = static_cast<float>(shift_sum);
}

/// dx = scale * inverse * (g - mean(g) - xhat * mean(g * xhat)); the means are left out when the
/// statistics are constants (null totals).
template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    norm_backward_kernel(const T* x, const T* dy, T* dx, ColumnShape shape,
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
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float value = to_float(px.v[v]);
      const float y = activate(act, norm.value(v, value));
      const float g = to_float(pdy.v[v]) * activation_slope(act, y);
      result.v[v] = from_float<T>(norm.scale[v] * norm.inverse[v] *
                                  (g - mean_g[v] - norm.hat(v, value) * mean_gx[v]));
    }
    store_pack(dx + at, result);
  }
}

/// The launch of the two elementwise kernels: as the sums, with enough blocks over the rows.
ColumnLaunch apply_launch(const ColumnShape& shape, int pack) {
  ColumnLaunch launch = column_launch(shape, pack);
  const int most =
      (shape.rows + static_cast<int>(launch.block.y) - 1) / static_cast<int>(launch.block.y);
  const int wanted = 132 * 16 / static_cast<int>(launch.grid.x);
  launch.grid.y = static_cast<unsigned>(std::max(1, std::min(most, wanted)));
  return launch;
}

template <class T>
void forward_train(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                   const Bindings& b, std::byte* aux) {
  const T* x = as<const T>(b.x[0]);
  float* mean = as<float>(aux);
  float* inverse = mean + shape.groups * shape.channels;
  float* partial = as<float>(b.workspace);
  const int first_running = attrs.affine ? 2 : 0;
  float* running_mean = attrs.batch ? as<float>(b.w[first_running]) : nullptr;
  float* running_var = attrs.batch ? as<float>(b.w[first_running + 1]) : nullptr;
  const NormStatistics statistics{mean, inverse, -1.0f, attrs.affine ? as<float>(b.w[0]) : nullptr,
                                  attrs.affine ? as<float>(b.w[1]) : nullptr};
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch sums = column_launch(shape, V);
    column_sums_kernel<V><<<sums.grid, sums.block, 0, context.stream()>>>(
        StatisticsTerm<T, V>{x, shape.rows, shape.channels, {}}, shape, partial);
    check_launch("norm statistics kernel");
    const int all = shape.groups * shape.channels;
    finalize_statistics_kernel<T>
        <<<(all + kThreads - 1) / kThreads, kThreads, 0, context.stream()>>>(
            x, shape, partial, attrs, mean, inverse, running_mean, running_var);
    check_launch("norm statistics kernel");
    const ColumnLaunch apply = apply_launch(shape, V);
    normalize_kernel<T, V><<<apply.grid, apply.block, 0, context.stream()>>>(x, as<T>(b.y), shape,
                                                                             statistics, attrs.act);
    check_launch("normalize kernel");
  });
}

NormStatistics running_statistics(const NormAttrs& attrs, const Bindings& b) {
  const int first = attrs.affine ? 2 : 0;
  return {as<float>(b.w[first]), as<float>(b.w[first + 1]), attrs.eps,
          attrs.affine ? as<float>(b.w[0]) : nullptr, attrs.affine ? as<float>(b.w[1]) : nullptr};
}

template <class T>
void forward_running(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                     const Bindings& b) {
  const NormStatistics statistics = running_statistics(attrs, b);
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch apply = apply_launch(shape, V);
    normalize_kernel<T, V><<<apply.grid, apply.block, 0, context.stream()>>>(
        as<const T>(b.x[0]), as<T>(b.y), shape, statistics, attrs.act);
    check_launch("normalize kernel");
  });
}

template <class T>
void backward(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
              const Bindings& b) {
  const T* x = as<const T>(b.x[0]);
  const T* dy = as<const T>(b.dy);
  T* dx = entry<T>(b.dx, 0);
  const auto gradient = [&](std::size_t i) {
    return attrs.affine ? entry<float>(b.dw, i) : nullptr;
  };
  const int all = shape.groups * shape.channels;
  const float* saved = as<const float>(b.aux);
  const NormStatistics statistics =
      attrs.use_running
          ? running_statistics(attrs, b)
          : NormStatistics{saved, saved + all, -1.0f, attrs.affine ? as<float>(b.w[0]) : nullptr,
                           attrs.affine ? as<float>(b.w[1]) : nullptr};
  float* totals = as<float>(b.workspace);
  float* partial = totals + 2 * all;
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch sums = column_launch(shape, V);
    column_sums_kernel<V><<<sums.grid, sums.block, 0, context.stream()>>>(
        GradientTerm<T, V>{x, dy, statistics, attrs.act, shape.channels, {}}, shape, partial);
    check_launch("norm gradient sums kernel");
    finalize_gradient_kernel<<<(shape.channels + kThreads - 1) / kThreads, kThreads, 0,
                               context.stream()>>>(shape, partial, totals, gradient(0),
                                                   gradient(1));
    check_launch("norm gradient sums kernel");
    if (dx == nullptr) return;
    const ColumnLaunch apply = apply_launch(shape, V);
    norm_backward_kernel<T, V><<<apply.grid, apply.block, 0, context.stream()>>>(
        x, dy, dx, shape, statistics, attrs.act, attrs.use_running ? nullptr : totals);
    check_launch("norm backward kernel");
  });
}

NormAttrs norm_attrs(const KernelQuery& query) {
  NormAttrs attrs;
  if (query.op->kind() == OpKind::batchnorm) {
    const auto& op = static_cast<const BatchNorm&>(*query.op);
    attrs = {true, op.affine, op.eps, op.momentum, op.act, query.mode == Mode::eval};
  } else {
    const auto& op = static_cast<const InstanceNorm&>(*query.op);
    attrs = {false, op.affine, op.eps, 0.0f, Activation{}, false};
  }
  return attrs;
}

}  // namespace

Offers norm_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return {};
  if (query.op->kind() == OpKind::batchnorm && static_cast<const BatchNorm&>(*query.op).in_place) {
    refuse(reason, "batch norm keeps its input here");
    return {};
  }
  const NormAttrs attrs = norm_attrs(query);
  const Shape& x = query.inputs[0].shape;
  const ColumnShape shape =
      attrs.batch ? column_shape(1, x.n * x.spatial(), x.c) : column_shape(x.n, x.spatial(), x.c);
  if (shape.groups > 65535) {
    refuse(reason, "more than 65535 samples");
    return {};
  }
  KernelOffer offer = nhwc_offer(query, attrs.batch ? "own:batchnorm" : "own:instancenorm");
  offer.output.dtype = offer.inputs[0].dtype;
  offer.output.bytes = offer.inputs[0].bytes;
  for (TensorDesc& param : offer.params) param = plain_desc(param.shape, DType::f32);
  const std::size_t all = static_cast<std::size_t>(shape.groups) * shape.channels;
  const std::size_t partial = 2 * static_cast<std::size_t>(shape.partials()) * sizeof(float);
  const bool forward = query.pass == Pass::forward;
  offer.in_place = true;
  if (forward && !attrs.use_running) {
    // Instance norm keeps no running statistics: evaluation needs the same room as training.
    offer.aux_bytes = 2 * all * sizeof(float);
    offer.workspace_bytes = partial + offer.aux_bytes;
  } else if (!forward) {
    offer.reads = {.inputs = true, .aux = !attrs.use_running};
    offer.workspace_bytes = 2 * all * sizeof(float) + partial;
  }
  offer.make = [&context, shape, attrs, forward, partial, dtype = offer.inputs[0].dtype,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (!forward) return backward<T>(context, shape, attrs, b);
        if (attrs.use_running) return forward_running<T>(context, shape, attrs, b);
        forward_train<T>(context, shape, attrs, b,
                         b.aux != nullptr ? b.aux : b.workspace + partial);
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
