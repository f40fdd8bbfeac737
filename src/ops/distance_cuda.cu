// Losses that are means over all elements: l1, l2, smooth l1, binary cross-entropy with logits.
// Two stages of fixed order: blocks sum stretches, one block adds the stretches.

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/bce.h"
#include "ops/distance.h"

namespace daybreak::cuda {
namespace {

struct DistanceTerm {
  DistanceKind kind;
  float beta;

  __device__ float value(float x, float t) const {
    const float d = x - t, size = fabsf(d);
    switch (kind) {
      case DistanceKind::l1:
        return size;
      case DistanceKind::l2:
        return d * d;
      case DistanceKind::smooth_l1:
        return size < beta ? 0.5f * d * d / beta : size - 0.5f * beta;
    }
    return 0.0f;
  }
  /// With respect to x; that of the target is its negative.
  __device__ float derivative(float x, float t) const {
    const float d = x - t;
    const float sign = d > 0.0f ? 1.0f : (d < 0.0f ? -1.0f : d);  // d itself for 0 and NaN
    switch (kind) {
      case DistanceKind::l1:
        return sign;
      case DistanceKind::l2:
        return 2.0f * d;
      case DistanceKind::smooth_l1:
        return fabsf(d) < beta ? d / beta : sign;
    }
    return 0.0f;
  }
};

struct BceTerm {
  __device__ float value(float x, float t) const {
    return fmaxf(x, 0.0f) - x * t + log1pf(expf(-fabsf(x)));
  }
  __device__ float derivative(float x, float t) const { return 1.0f / (1.0f + expf(-x)) - t; }
};

/// Stretches the sum is cut into: by the count alone, so that results do not depend on the GPU.
int stretches(std::int64_t count) {
  constexpr std::int64_t kLeast = 2048, kMost = 1024;
  const std::int64_t wanted = (count + kLeast - 1) / kLeast;
  return static_cast<int>(wanted < kMost ? wanted : kMost);
}

template <class T, class Term>
__global__ void loss_sums_kernel(Term term, const T* x, const T* t, std::int64_t count,
                                 double* partial) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    sum += term.value(to_float(x[i]), to_float(t[i]));
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void loss_mean_kernel(const double* partial, int stretches, std::int64_t count,
                                 float* y) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < stretches; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *y = static_cast<float>(sum / static_cast<double>(count));
}

/// Null dx or dt: not wanted.
template <class T, class Term>
__global__ void loss_backward_kernel(Term term, const T* x, const T* t, const float* dy, T* dx,
                                     T* dt, std::int64_t count) {
  const float scale = *dy / static_cast<float>(count);
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    const float g = scale * term.derivative(to_float(x[i]), to_float(t[i]));
    if (dx != nullptr) dx[i] = from_float<T>(g);
    if (dt != nullptr) dt[i] = from_float<T>(-g);
  }
}

template <class T, class Term>
void run_loss(const Context& context, const Term& term, std::int64_t count, bool forward,
              const Bindings& b) {
  const T *x = as<const T>(b.x[0]), *t = as<const T>(b.x[1]);
  if (forward) {
    const int blocks = stretches(count);
    double* partial = as<double>(b.workspace);
    loss_sums_kernel<T, Term>
        <<<blocks, kThreads, 0, context.stream()>>>(term, x, t, count, partial);
    check_launch("loss kernel");
    loss_mean_kernel<<<1, kThreads, 0, context.stream()>>>(partial, blocks, count, as<float>(b.y));
  } else {
    loss_backward_kernel<T, Term><<<loop_blocks(count), kThreads, 0, context.stream()>>>(
        term, x, t, as<const float>(b.dy), entry<T>(b.dx, 0), entry<T>(b.dx, 1), count);
  }
  check_launch("loss kernel");
}

template <class Term>
Offers loss_offers(Context& context, const KernelQuery& query, std::string* reason,
                   const char* kernel, const Term& term) {
  if (!float_types(query, reason)) return {};
  const DType dtype = query.inputs[0].dtype;
  const Layout layout = query.inputs[0].layout == kNchw ? kNchw : kNhwc;
  KernelOffer offer;
  offer.name = kernel;
  offer.inputs = {make_desc(query.inputs[0].shape, dtype, layout),
                  make_desc(query.inputs[1].shape, dtype, layout)};
  offer.output = plain_desc(query.output.shape, DType::f32);
  const std::int64_t count = query.inputs[0].shape.count();
  const bool forward = query.pass == Pass::forward;
  if (forward) {
    offer.workspace_bytes = static_cast<std::size_t>(stretches(count)) * sizeof(double);
  } else {
    offer.reads = {.inputs = true};
  }
  offer.make = [&context, term, count, forward, dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        run_loss<typename decltype(tag)::type>(context, term, count, forward, b);
      });
    });
  };
  return {offer};
}

}  // namespace

Offers elementwise_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (query.op->kind() == OpKind::bce) {
    return loss_offers(context, query, reason, "own:bce", BceTerm{});
  }
  const auto& op = static_cast<const Distance&>(*query.op);
  return loss_offers(context, query, reason, "own:distance", DistanceTerm{op.distance, op.beta});
}

}  // namespace daybreak::cuda
