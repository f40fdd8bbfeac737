// Batch norm and instance norm, channels last. A norm sees `groups` matrices of rows x channels:
// batch norm one of N*H*W rows, instance norm N of H*W rows.
//
// Training reads x twice and writes y once (3 passes of element size), and once where the
// convolution before it has measured it; backward reads x and dy twice and writes dx (5 passes). A
// batch norm in place (BatchNorm::in_place) finds x again from y, and with a sum behind its
// activation reads the residual in the passes that need it: one kernel for norm, activation and
// sum. With the activation behind the sum (BatchNorm::act_last), backward's first pass also writes
// the gradient in front of it, which is the residual's and what its second pass reads. Every sum
// has a fixed order.

#include <algorithm>
#include <type_traits>

#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/moments.h"
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
  bool in_place = false;     ///< backward reads y instead of x
  bool sum = false;          ///< y = act(...) + a second input
  bool act_last = false;     ///< y = act(... + the second input)
  bool measured = false;     ///< training is given the batch's statistics
};

/// Where a residual is added.
enum class NormSum : std::uint8_t { none, behind, before };  // the activation

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
  /// `from`: x or y; `more`: the second tensor of NormSource::sum and act_last.
  template <NormSource S>
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
    return {found(v) ? (z - shift[v]) / scale[v] : 0.0f, dy * activation_slope(act, a)};
  }
  /// As recoverable(), on the device.
  __device__ bool found(int v) const {
    const double size = fabs(static_cast<double>(scale[v]));
    return size > 1e-5 * fabs(static_cast<double>(shift[v])) && scale[v] != 0.0f;
  }
};

constexpr bool reads_more(NormSource source) {
  return source == NormSource::sum || source == NormSource::act_last;
}

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
      const NormPoint point =
          norm.template point<S>(v, to_float(px.v[v]), to_float(pm.v[v]), to_float(pdy.v[v]), act);
      sums[0][v] += point.g;
      sums[1][v] += point.g * point.hat;
      pg.v[v] = from_float<T>(point.g);
    }
    if constexpr (S == NormSource::act_last) {
      if (g != nullptr) store_pack(g + at, pg);
    }
  }
};

/// Where training leaves what it has found about the channels; null pointers where it is not kept.
struct NormRecord {
  float *mean = nullptr, *inverse = nullptr;  // [groups, channels], for backward
  float *running_mean = nullptr, *running_var = nullptr;
  float share = 0.0f;  // of the batch in the running statistics

  template <int V>
  __device__ void put(const ChannelNorm<V>& norm, const NormStatistics& s, int at, int channel,
                      float rows) const {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if (mean != nullptr) {
        mean[at + v] = norm.mean[v];
        inverse[at + v] = norm.inverse[v];
      }
      if (running_mean == nullptr) continue;
      float &m = running_mean[channel + v], &var = running_var[channel + v];
      m = (1.0f - share) * m + share * norm.mean[v];
      var = (1.0f - share) * var + share * unbiased(s.inverse[at + v], rows);
    }
  }
};

/// y = act(norm(x)), act(norm(x)) + residual or act(norm(x) + residual); y may be x. The first
/// block of every channel keeps the record.
template <class T, int V, NormSum Sum>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(const T* x, const T* residual, T* y, ColumnShape shape,
                     NormStatistics statistics, Activation act, NormRecord record) {
  const int channel = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  if (channel >= shape.channels) return;
  ChannelNorm<V> norm;
  norm.load(statistics, blockIdx.z, channel, shape.channels);
  if (blockIdx.y == 0 && threadIdx.y == 0) {
    record.put(norm, statistics, blockIdx.z * shape.channels + channel, channel,
               static_cast<float>(shape.rows));
  }
  for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < shape.rows;
       row += gridDim.y * blockDim.y) {
    const std::int64_t at =
        (static_cast<std::int64_t>(blockIdx.z) * shape.rows + row) * shape.channels + channel;
    Pack<T, V> pack = load_pack<T, V>(x + at);
    Pack<T, V> more = pack;
    if constexpr (Sum != NormSum::none) more = load_pack<T, V>(residual + at);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float value = norm.value(v, to_float(pack.v[v])), other = to_float(more.v[v]);
      const float result = Sum == NormSum::none     ? activate(act, value)
                           : Sum == NormSum::behind ? activate(act, value) + other
                                                    : activate(act, value + other);
      pack.v[v] = from_float<T>(result);
    }
    store_pack(y + at, pack);
  }
}

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
      const NormPoint point =
          norm.template point<S>(v, to_float(px.v[v]), to_float(pm.v[v]), to_float(pdy.v[v]), act);
      result.v[v] = from_float<T>(norm.scale[v] * norm.inverse[v] *
                                  (point.g - mean_g[v] - point.hat * mean_gx[v]));
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
void launch_normalize(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                      const NormStatistics& statistics, const NormRecord& record,
                      const Bindings& b) {
  const T* x = as<const T>(b.x[0]);
  const T* residual = attrs.sum ? as<const T>(b.x[1]) : nullptr;
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch apply = apply_launch(shape, V);
    const auto launch = [&](auto kernel) {
      kernel<<<apply.grid, apply.block, 0, context.stream()>>>(x, residual, as<T>(b.y), shape,
                                                               statistics, attrs.act, record);
    };
    if (!attrs.sum) {
      launch(normalize_kernel<T, V, NormSum::none>);
    } else if (attrs.act_last) {
      launch(normalize_kernel<T, V, NormSum::before>);
    } else {
      launch(normalize_kernel<T, V, NormSum::behind>);
    }
    check_launch("normalize kernel");
  });
}

/// Parts of a training call's workspace, in floats.
struct NormRoom {
  std::size_t statistics = 0;  // mean and variance, where they are not given
  std::size_t partial = 0;     // sums of stretches

  std::size_t bytes() const { return (statistics + partial) * sizeof(float); }
};

template <class T>
void forward_train(const Context& context, DType dtype, const ColumnShape& shape,
                   const NormAttrs& attrs, const NormRoom& room, const Bindings& b) {
  const int all = shape.groups * shape.channels;
  float* measured = as<float>(b.statistics);
  if (!attrs.measured) {
    measured = as<float>(b.workspace);
    launch_moments(context, dtype, b.x[0], shape, measured + room.statistics, measured);
  }
  const NormStatistics statistics{measured, measured + all, attrs.eps,
                                  attrs.affine ? as<float>(b.w[0]) : nullptr,
                                  attrs.affine ? as<float>(b.w[1]) : nullptr};
  NormRecord record;
  if (b.aux != nullptr) {
    record.mean = as<float>(b.aux);
    record.inverse = record.mean + all;
  }
  if (attrs.batch) {
    const int first_running = attrs.affine ? 2 : 0;
    record.running_mean = as<float>(b.w[first_running]);
    record.running_var = as<float>(b.w[first_running + 1]);
    record.share = attrs.momentum;
  }
  launch_normalize<T>(context, shape, attrs, statistics, record, b);
}

NormStatistics running_statistics(const NormAttrs& attrs, const Bindings& b) {
  const int first = attrs.affine ? 2 : 0;
  return {as<float>(b.w[first]), as<float>(b.w[first + 1]), attrs.eps,
          attrs.affine ? as<float>(b.w[0]) : nullptr, attrs.affine ? as<float>(b.w[1]) : nullptr};
}

template <class T>
void forward_running(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                     const Bindings& b) {
  launch_normalize<T>(context, shape, attrs, running_statistics(attrs, b), {}, b);
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

template <class T>
void backward(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
              const Bindings& b) {
  if (attrs.act_last) return backward_from<T, NormSource::act_last>(context, shape, attrs, b);
  // The residual's gradient is the sum's; dx[0] may be written over it next.
  if (T* more = attrs.sum ? entry<T>(b.dx, 1) : nullptr) {
    const std::size_t count = static_cast<std::size_t>(shape.rows) * shape.channels;
    check(
        cudaMemcpyAsync(more, b.dy, count * sizeof(T), cudaMemcpyDeviceToDevice, context.stream()),
        "cudaMemcpyAsync");
  }
  if (!attrs.in_place) return backward_from<T, NormSource::input>(context, shape, attrs, b);
  if constexpr (std::is_same_v<T, float>) {
    if (attrs.sum) return backward_from<T, NormSource::sum>(context, shape, attrs, b);
    backward_from<T, NormSource::output>(context, shape, attrs, b);
  }
}

NormAttrs norm_attrs(const KernelQuery& query) {
  NormAttrs attrs;
  if (query.op->kind() == OpKind::batchnorm) {
    const auto& op = static_cast<const BatchNorm&>(*query.op);
    attrs = {true,        op.affine, op.eps,      op.momentum, op.act, query.mode == Mode::eval,
             op.in_place, op.sum,    op.act_last, op.measured};
  } else {
    const auto& op = static_cast<const InstanceNorm&>(*query.op);
    attrs.batch = false;
    attrs.affine = op.affine;
    attrs.eps = op.eps;
  }
  return attrs;
}

}  // namespace

Offers norm_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return {};
  const NormAttrs attrs = norm_attrs(query);
  if (attrs.in_place && query.inputs[0].dtype != DType::f32) {
    refuse(reason, "what a norm finds again from 16 bits would be too coarse");
    return {};
  }
  const Shape& x = query.inputs[0].shape;
  const ColumnShape shape =
      attrs.batch ? column_shape(1, x.n * x.spatial(), x.c) : column_shape(x.n, x.spatial(), x.c);
  if (shape.groups > 65535 || std::int64_t{shape.groups} * shape.channels > (1 << 30)) {
    refuse(reason, "more than 65535 samples, or 2^30 statistics");
    return {};
  }
  KernelOffer offer = nhwc_offer(query, attrs.batch ? "own:batchnorm" : "own:instancenorm");
  for (TensorDesc& input : offer.inputs) input = offer.inputs[0];
  offer.output = offer.inputs[0];
  for (TensorDesc& param : offer.params) param = plain_desc(param.shape, DType::f32);
  const std::size_t all = static_cast<std::size_t>(shape.groups) * shape.channels;
  const bool forward = query.pass == Pass::forward;
  NormRoom room;
  offer.in_place = true;
  if (forward && !attrs.use_running) {
    if (!attrs.measured) room = {2 * all, moments_bytes(shape) / sizeof(float)};
    // Instance norm keeps no running statistics: evaluation is training without the aux.
    offer.aux_bytes = 2 * all * sizeof(float);
  } else if (!forward) {
    room = {2 * all, 2 * static_cast<std::size_t>(shape.partials())};
    offer.reads = query.op->backward_reads();
    offer.reads.aux = !attrs.use_running;
  }
  offer.workspace_bytes = room.bytes();
  offer.make = [&context, shape, attrs, forward, room, dtype = offer.inputs[0].dtype,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (!forward) return backward<T>(context, shape, attrs, b);
        if (attrs.use_running) return forward_running<T>(context, shape, attrs, b);
        forward_train<T>(context, dtype, shape, attrs, room, b);
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
