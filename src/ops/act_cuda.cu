// Elementwise operations: activations, sums with an activation, dropout. One access of 16 bytes per
// thread and tensor where the count allows; the layout does not matter as long as all tensors share
// it.

#include "backend/cuda/device.cuh"
#include "backend/cuda/index.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/act.h"
#include "ops/add.h"
#include "ops/dropout.h"

namespace daybreak::cuda {
namespace {

template <class T, int V>
__global__ void activate_kernel(const T* x, T* y, std::int64_t packs, Activation act) {
  for (std::int64_t i = loop_begin(); i < packs; i += loop_stride()) {
    Pack<T, V> pack = load_pack<T, V>(x + i * V);
#pragma unroll
    for (int v = 0; v < V; ++v) pack.v[v] = from_float<T>(activate(act, to_float(pack.v[v])));
    store_pack(y + i * V, pack);
  }
}

template <class T, int V>
__global__ void activate_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t packs,
                                         Activation act) {
  for (std::int64_t i = loop_begin(); i < packs; i += loop_stride()) {
    const Pack<T, V> py = load_pack<T, V>(y + i * V), pdy = load_pack<T, V>(dy + i * V);
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      result.v[v] = from_float<T>(to_float(pdy.v[v]) * activation_slope(act, to_float(py.v[v])));
    }
    store_pack(dx + i * V, result);
  }
}

template <class T, int V>
__global__ void add_kernel(const T* a, const T* b, T* y, std::int64_t packs, float ca, float cb,
                           Activation act) {
  for (std::int64_t i = loop_begin(); i < packs; i += loop_stride()) {
    const Pack<T, V> pa = load_pack<T, V>(a + i * V), pb = load_pack<T, V>(b + i * V);
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      result.v[v] = from_float<T>(activate(act, ca * to_float(pa.v[v]) + cb * to_float(pb.v[v])));
    }
    store_pack(y + i * V, result);
  }
}

/// Null y: no activation; null da or db: not wanted.
template <class T, int V>
__global__ void add_backward_kernel(const T* y, const T* dy, T* da, T* db, std::int64_t packs,
                                    float ca, float cb, Activation act) {
  for (std::int64_t i = loop_begin(); i < packs; i += loop_stride()) {
    const Pack<T, V> pdy = load_pack<T, V>(dy + i * V);
    float g[V];
#pragma unroll
    for (int v = 0; v < V; ++v) g[v] = to_float(pdy.v[v]);
    if (y != nullptr) {
      const Pack<T, V> py = load_pack<T, V>(y + i * V);
#pragma unroll
      for (int v = 0; v < V; ++v) g[v] *= activation_slope(act, to_float(py.v[v]));
    }
    Pack<T, V> result;
    if (da != nullptr) {
#pragma unroll
      for (int v = 0; v < V; ++v) result.v[v] = from_float<T>(ca * g[v]);
      store_pack(da + i * V, result);
    }
    if (db != nullptr) {
#pragma unroll
      for (int v = 0; v < V; ++v) result.v[v] = from_float<T>(cb * g[v]);
      store_pack(db + i * V, result);
    }
  }
}

/// Draws the mask again in every call, so nothing is saved; forward and backward are the same map.
template <class T>
__global__ void dropout_kernel(const T* x, T* y, Shape shape, bool channels_last, float p,
                               std::uint32_t salt, const StepScalars* scalars) {
  const std::int64_t per_sample = shape.per_sample();
  const std::int64_t count = per_sample * shape.n;
  const std::int64_t pixels = shape.spatial();
  const std::uint64_t seed = scalars->seed, step = scalars->step;
  const float scale = 1.0f / (1.0f - p);
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    const int n = static_cast<int>(i / per_sample);
    std::int64_t index = i % per_sample;
    if (channels_last) index = index % shape.c * pixels + index / shape.c;
    const float u = uniform_from_bits(dropout_bits(seed, step, salt, n, index));
    y[i] = from_float<T>(u < p ? 0.0f : to_float(x[i]) * scale);
  }
}

/// What Add says, without the object: its code stays in the main program.
struct AddAttrs {
  float coeff[2];
  Activation act;
};

/// All tensors in the layout that input 0 has, when it is one of the two common ones.
KernelOffer same_layout_offer(const KernelQuery& query, std::string name) {
  KernelOffer offer = nhwc_offer(query, std::move(name));
  if (query.inputs[0].layout == kNchw) {
    for (TensorDesc& input : offer.inputs) input = plain(input);
    offer.output = plain(offer.output);
  }
  for (TensorDesc& input : offer.inputs) {
    input = make_desc(input.shape, query.inputs[0].dtype, input.layout);
  }
  offer.output = make_desc(offer.output.shape, query.inputs[0].dtype, offer.output.layout);
  offer.in_place = true;
  return offer;
}

template <class T>
void run_activation(const Context& context, std::int64_t count, Activation act, bool forward,
                    const Bindings& b) {
  dispatch_pack<T>(count, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const std::int64_t packs = count / V;
    if (forward) {
      activate_kernel<T, V><<<loop_blocks(packs), kThreads, 0, context.stream()>>>(
          as<const T>(b.x[0]), as<T>(b.y), packs, act);
    } else {
      activate_backward_kernel<T, V><<<loop_blocks(packs), kThreads, 0, context.stream()>>>(
          as<const T>(needs_input(act.kind) ? b.x[0] : b.y), as<const T>(b.dy), entry<T>(b.dx, 0),
          packs, act);
    }
    check_launch("activation kernel");
  });
}

template <class T>
void run_add(const Context& context, std::int64_t count, const AddAttrs& op, bool forward,
             const Bindings& b) {
  dispatch_pack<T>(count, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const std::int64_t packs = count / V;
    if (forward) {
      add_kernel<T, V><<<loop_blocks(packs), kThreads, 0, context.stream()>>>(
          as<const T>(b.x[0]), as<const T>(b.x[1]), as<T>(b.y), packs, op.coeff[0], op.coeff[1],
          op.act);
    } else {
      add_backward_kernel<T, V><<<loop_blocks(packs), kThreads, 0, context.stream()>>>(
          op.act.kind == ActKind::none ? nullptr : as<const T>(b.y), as<const T>(b.dy),
          entry<T>(b.dx, 0), entry<T>(b.dx, 1), packs, op.coeff[0], op.coeff[1], op.act);
    }
    check_launch("add kernel");
  });
}

}  // namespace

Offers activation_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  KernelOffer offer = same_layout_offer(query, "own:activation");
  const bool forward = query.pass == Pass::forward;
  const Activation act = static_cast<const Act&>(*query.op).act;
  if (!forward) {
    offer.reads = {.inputs = needs_input(act.kind), .output = !needs_input(act.kind)};
  }
  offer.make = [&context, act, forward, count = query.inputs[0].shape.count(),
                dtype = query.inputs[0].dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        run_activation<typename decltype(tag)::type>(context, count, act, forward, b);
      });
    });
  };
  return {offer};
}

Offers add_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  KernelOffer offer = same_layout_offer(query, "own:add");
  const bool forward = query.pass == Pass::forward;
  const auto& add = static_cast<const Add&>(*query.op);
  const AddAttrs op{{add.coeff[0], add.coeff[1]}, add.act};
  if (!forward) offer.reads = {.output = op.act.kind != ActKind::none};
  offer.make = [&context, op, forward, count = query.inputs[0].shape.count(),
                dtype = query.inputs[0].dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        run_add<typename decltype(tag)::type>(context, count, op, forward, b);
      });
    });
  };
  return {offer};
}

Offers dropout_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  KernelOffer offer = same_layout_offer(query, "own:dropout");
  const auto& op = static_cast<const Dropout&>(*query.op);
  const bool identity = query.mode == Mode::eval || op.p == 0.0f;
  const TensorDesc desc = offer.inputs[0];
  offer.make = [&context, desc, p = op.p, salt = op.salt, identity,
                forward = query.pass == Pass::forward, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      std::byte* from = forward ? b.x[0] : b.dy;
      std::byte* to = forward ? b.y : entry<std::byte>(b.dx, 0);
      if (to == nullptr) return;
      if (identity) {
        if (from == to) return;
        check(cudaMemcpyAsync(to, from, desc.bytes, cudaMemcpyDeviceToDevice, context.stream()),
              "cudaMemcpyAsync");
        return;
      }
      dispatch_float(desc.dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        dropout_kernel<T><<<loop_blocks(desc.shape.count()), kThreads, 0, context.stream()>>>(
            as<const T>(from), as<T>(to), desc.shape, desc.layout == kNhwc, p, salt, b.scalars);
        check_launch("dropout kernel");
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
