// Batch norm and instance norm, channels last: forward, and what both passes are offered as.
//
// Training reads x twice and writes y once (3 passes of element size), and once where the
// convolution before it has measured it. A sum (BatchNorm::sum) is read and added, before or behind
// the activation, in the pass that writes y. Every sum of many numbers has a fixed order.

#include <algorithm>
#include <type_traits>

#include "backend/cuda/launch.h"
#include "backend/cuda/moments.h"
#include "backend/cuda/offers.h"
#include "ops/batchnorm.h"
#include "ops/instancenorm.h"
#include "ops/norm_cuda.cuh"

namespace daybreak::cuda {
namespace {

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
      if constexpr (Sum == NormSum::told) {
        pack.v[v] = sum_with_sign(activate(act, value), more.v[v]);
      } else {
        pack.v[v] = from_float<T>(Sum == NormSum::none     ? activate(act, value)
                                  : Sum == NormSum::behind ? activate(act, value) + other
                                                           : activate(act, value + other));
      }
    }
    store_pack(y + at, pack);
  }
}

template <class T, NormSum Sum>
void launch_normalize(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                      const NormStatistics& statistics, const NormRecord& record,
                      const Bindings& b) {
  const T* residual = Sum == NormSum::none ? nullptr : as<const T>(b.x[1]);
  dispatch_pack<T>(shape.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch apply = apply_launch(shape, V);
    normalize_kernel<T, V, Sum><<<apply.grid, apply.block, 0, context.stream()>>>(
        as<const T>(b.x[0]), residual, as<T>(b.y), shape, statistics, attrs.act, record);
    check_launch("normalize kernel");
  });
}

template <class T>
void normalize(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
               const NormStatistics& statistics, const NormRecord& record, const Bindings& b) {
  if (!attrs.sum) {
    launch_normalize<T, NormSum::none>(context, shape, attrs, statistics, record, b);
  } else if (attrs.act_last) {
    launch_normalize<T, NormSum::before>(context, shape, attrs, statistics, record, b);
  } else if (attrs.in_place) {
    launch_normalize<T, NormSum::told>(context, shape, attrs, statistics, record, b);
  } else {
    launch_normalize<T, NormSum::behind>(context, shape, attrs, statistics, record, b);
  }
}

/// What a deferred norm does: one thread a channel keeps the record, and leaves scale and shift of
/// the normalised values and, as T, those of x. The latter stay finite in f16: where they would
/// not, the digits of x are those of a constant. `saved`: [kDeferredRows][channels].
template <class T>
__global__ void defer_kernel(NormStatistics statistics, NormRecord record, int rows, int channels,
                             float* saved) {
  const int channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= channels) return;
  ChannelNorm<1> norm;
  norm.load(statistics, 0, channel, channels);
  record.put(norm, statistics, channel, channel, static_cast<float>(rows));
  saved[2 * channels + channel] = norm.scale[0];
  saved[3 * channels + channel] = norm.shift[0];
  constexpr float kLargest = std::is_same_v<T, __half> ? 65504.0f : 3.0e38f;
  const auto finite = [](float value) {
    return value > kLargest ? kLargest : value < -kLargest ? -kLargest : value;
  };
  const T scale = from_float<T>(finite(norm.scale[0] * norm.inverse[0]));
  const float shift = norm.shift[0] - norm.mean[0] * to_float(scale);  // of the rounded one
  reinterpret_cast<T*>(saved + 4 * channels)[channel] = scale;
  reinterpret_cast<T*>(saved + 5 * channels)[channel] = from_float<T>(finite(shift));
}

template <class T>
void defer(const Context& context, const ColumnShape& shape, const NormStatistics& statistics,
           const NormRecord& record, float* saved) {
  const int blocks = (shape.channels + kThreads - 1) / kThreads;
  defer_kernel<T><<<blocks, kThreads, 0, context.stream()>>>(statistics, record, shape.rows,
                                                             shape.channels, saved);
  check_launch("deferred norm kernel");
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
  if (attrs.deferred) return defer<T>(context, shape, statistics, record, as<float>(b.aux));
  normalize<T>(context, shape, attrs, statistics, record, b);
}

template <class T>
void forward_running(const Context& context, const ColumnShape& shape, const NormAttrs& attrs,
                     const Bindings& b) {
  normalize<T>(context, shape, attrs, running_statistics(attrs, b), {}, b);
}

NormAttrs norm_attrs(const KernelQuery& query) {
  NormAttrs attrs;
  if (query.op->kind() == OpKind::batchnorm) {
    const auto& op = static_cast<const BatchNorm&>(*query.op);
    attrs = {true,        op.affine, op.eps,      op.momentum, op.act,     query.mode == Mode::eval,
             op.in_place, op.sum,    op.act_last, op.measured, op.chained, op.deferred};
  } else {
    const auto& op = static_cast<const InstanceNorm&>(*query.op);
    attrs.batch = false;
    attrs.affine = op.affine;
    attrs.eps = op.eps;
  }
  return attrs;
}

}  // namespace

void launch_norm_output(const Context& context, DType dtype, const void* x, const float* saved,
                        const ColumnShape& shape, void* y) {
  const Activation relu{ActKind::relu};
  const int all = shape.channels;
  const NormStatistics statistics{saved, saved + all, -1.0f, saved + 2 * all, saved + 3 * all};
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    dispatch_pack<T>(shape.channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const ColumnLaunch apply = apply_launch(shape, V);
      normalize_kernel<T, V, NormSum::none><<<apply.grid, apply.block, 0, context.stream()>>>(
          static_cast<const T*>(x), nullptr, static_cast<T*>(y), shape, statistics, relu,
          NormRecord{});
      check_launch("normalize kernel");
    });
  });
}

Offers norm_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return {};
  const NormAttrs attrs = norm_attrs(query);
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
    offer.aux_bytes = (attrs.deferred ? BatchNorm::kDeferredRows : 2) * all * sizeof(float);
    offer.in_place = !attrs.deferred;
  } else if (!forward) {
    if (!attrs.chained) room = {2 * all, 2 * static_cast<std::size_t>(shape.partials())};
    offer.reads = query.op->backward_reads();
    offer.reads.aux = !attrs.use_running;
  }
  offer.workspace_bytes = room.bytes();
  offer.make = [&context, shape, attrs, forward, room, dtype = offer.inputs[0].dtype,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      if (!forward) return launch_norm_backward(context, dtype, shape, attrs, b);
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (attrs.use_running) return forward_running<T>(context, shape, attrs, b);
        forward_train<T>(context, dtype, shape, attrs, room, b);
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
