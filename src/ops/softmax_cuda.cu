// Softmax, the losses over labels, and the top-k count: one warp per row of scores, sums by a fixed
// tree; the mean over the batch is taken by one block over the per-sample losses.
//
// A label outside 0..K-1 cannot stop a running step: the loss becomes NaN (and the sample counts
// as wrong), which the trainer reports; no memory outside the row is touched.

#include <cfloat>

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/hinge.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"

namespace daybreak::cuda {
namespace {

constexpr int kWarpsPerBlock = kThreads / kWarp;

inline int warp_blocks(int rows) {
  return (rows + kWarpsPerBlock - 1) / kWarpsPerBlock;
}

/// The row of this warp, the lane in it.
__device__ __forceinline__ int warp_row() {
  return blockIdx.x * kWarpsPerBlock + threadIdx.x / kWarp;
}
__device__ __forceinline__ int lane_id() {
  return threadIdx.x % kWarp;
}

/// Maximum and sum of exp(x - maximum) of a row, on every lane. A maximum of -inf (or NaN) gives
/// NaN later on, as the formula does.
template <class T>
__device__ __forceinline__ float2 row_max_sum(const T* row, int width) {
  float most = -INFINITY;
  for (int i = lane_id(); i < width; i += kWarp) most = fmaxf(most, to_float(row[i]));
  most = warp_max(most);
  float sum = 0.0f;
  for (int i = lane_id(); i < width; i += kWarp) sum += expf(to_float(row[i]) - most);
  return make_float2(most, warp_sum(sum));
}

template <class T>
__global__ void softmax_kernel(const T* x, T* y, int rows, int width) {
  const int row = warp_row();
  if (row >= rows) return;
  const T* from = x + static_cast<std::int64_t>(row) * width;
  T* to = y + static_cast<std::int64_t>(row) * width;
  const float2 norm = row_max_sum(from, width);
  for (int i = lane_id(); i < width; i += kWarp) {
    to[i] = from_float<T>(expf(to_float(from[i]) - norm.x) / norm.y);
  }
}

/// dx = y * (dy - sum(y * dy))
template <class T>
__global__ void softmax_backward_kernel(const T* y, const T* dy, T* dx, int rows, int width) {
  const int row = warp_row();
  if (row >= rows) return;
  const std::int64_t at = static_cast<std::int64_t>(row) * width;
  float dot = 0.0f;
  for (int i = lane_id(); i < width; i += kWarp) dot += to_float(y[at + i]) * to_float(dy[at + i]);
  dot = warp_sum(dot);
  for (int i = lane_id(); i < width; i += kWarp) {
    dx[at + i] = from_float<T>(to_float(y[at + i]) * (to_float(dy[at + i]) - dot));
  }
}

/// Loss of every sample, (1 - e) * nll(label) + e * mean of nll over classes; probabilities to aux.
template <class T>
__global__ void xent_kernel(const T* x, const std::int32_t* labels, float* losses,
                            float* probabilities, int rows, int width, float smoothing) {
  const int row = warp_row();
  if (row >= rows) return;
  const T* from = x + static_cast<std::int64_t>(row) * width;
  const int label = labels[row];
  const bool known = label >= 0 && label < width;
  const float2 norm = row_max_sum(from, width);
  const float log_sum = logf(norm.y);
  float sum = 0.0f;
  for (int i = lane_id(); i < width; i += kWarp) {
    const float z = to_float(from[i]) - norm.x;
    const float share = (i == label ? 1.0f - smoothing : 0.0f) + smoothing / width;
    // A class without a share of the target adds nothing, even at a score of -inf.
    if (share != 0.0f) sum += share * (log_sum - z);
    if (probabilities != nullptr) {
      probabilities[static_cast<std::int64_t>(row) * width + i] = expf(z) / norm.y;
    }
  }
  sum = warp_sum(sum);
  if (lane_id() == 0) losses[row] = known ? sum : NAN;
}

/// dx = dy / N * (p - target)
template <class T>
__global__ void xent_backward_kernel(const float* probabilities, const std::int32_t* labels,
                                     const float* dy, T* dx, int rows, int width, float smoothing) {
  const std::int64_t count = static_cast<std::int64_t>(rows) * width;
  const float g = *dy / static_cast<float>(rows);
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    const int row = static_cast<int>(i / width), k = static_cast<int>(i % width);
    const float share = (k == labels[row] ? 1.0f - smoothing : 0.0f) + smoothing / width;
    dx[i] = from_float<T>(g * (probabilities[i] - share));
  }
}

template <class T>
__global__ void hinge_kernel(const T* x, const std::int32_t* labels, float* losses, int rows,
                             int width, float margin) {
  const int row = warp_row();
  if (row >= rows) return;
  const T* from = x + static_cast<std::int64_t>(row) * width;
  const int label = labels[row];
  if (label < 0 || label >= width) {
    if (lane_id() == 0) losses[row] = NAN;
    return;
  }
  const float own = to_float(from[label]);
  float sum = 0.0f;
  for (int i = lane_id(); i < width; i += kWarp) {
    const float violation = to_float(from[i]) - own + margin;
    if (i != label && !(violation <= 0.0f)) sum += violation;  // NaN is kept
  }
  sum = warp_sum(sum);
  if (lane_id() == 0) losses[row] = sum;
}

template <class T>
__global__ void hinge_backward_kernel(const T* x, const std::int32_t* labels, const float* dy,
                                      T* dx, int rows, int width, float margin) {
  const int row = warp_row();
  if (row >= rows) return;
  const std::int64_t at = static_cast<std::int64_t>(row) * width;
  const int label = labels[row];
  const bool known = label >= 0 && label < width;
  const float own = known ? to_float(x[at + label]) : 0.0f;
  const float g = *dy / static_cast<float>(rows);
  int violations = 0;
  for (int i = lane_id(); i < width; i += kWarp) {
    const bool violated = known && i != label && to_float(x[at + i]) - own + margin > 0.0f;
    violations += violated ? 1 : 0;
    if (i != label) dx[at + i] = from_float<T>(violated ? g : 0.0f);
  }
  violations = warp_sum(violations);
  if (known && lane_id() == 0) dx[at + label] = from_float<T>(-g * violations);
}

/// hits[row] = (label is first, label is among the k largest)
template <class T>
__global__ void topk_kernel(const T* x, const std::int32_t* labels, float2* hits, int rows,
                            int width, int k) {
  const int row = warp_row();
  if (row >= rows) return;
  const T* from = x + static_cast<std::int64_t>(row) * width;
  const int label = labels[row];
  const bool known = label >= 0 && label < width;
  const float own = known ? to_float(from[label]) : NAN;
  int rank = 0, bad = known ? 0 : 1;
  for (int i = lane_id(); i < width; i += kWarp) {
    const float score = to_float(from[i]);
    bad += isfinite(score) ? 0 : 1;
    rank += score > own || (score == own && i < label) ? 1 : 0;
  }
  rank = warp_sum(rank);
  bad = warp_sum(bad);
  if (lane_id() != 0) return;
  hits[row] = make_float2(bad == 0 && rank < 1 ? 1.0f : 0.0f, bad == 0 && rank < k ? 1.0f : 0.0f);
}

/// One block: y = sum(values) / count, thread i taking values i, i + 256, ...
__global__ void mean_kernel(const float* values, int count, float* y) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += values[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *y = static_cast<float>(sum / count);
}

__global__ void count_kernel(const float2* hits, int rows, float* y) {
  __shared__ int shared[kWarp];
  int first = 0, among = 0;
  for (int i = threadIdx.x; i < rows; i += blockDim.x) {
    first += hits[i].x > 0.0f ? 1 : 0;
    among += hits[i].y > 0.0f ? 1 : 0;
  }
  first = block_sum(first, shared);
  among = block_sum(among, shared);
  if (threadIdx.x != 0) return;
  y[0] = static_cast<float>(first);
  y[1] = static_cast<float>(among);
}

/// What the kernels over labels share.
struct LabelCall {
  int rows, width;
  float number;  ///< smoothing or margin
  bool hinge;
};

template <class T>
void run_label_loss(const Context& context, const LabelCall& call, const Bindings& b) {
  const T* x = as<const T>(b.x[0]);
  const auto* labels = as<const std::int32_t>(b.x[1]);
  float* losses = as<float>(b.workspace);
  if (call.hinge) {
    hinge_kernel<T><<<warp_blocks(call.rows), kThreads, 0, context.stream()>>>(
        x, labels, losses, call.rows, call.width, call.number);
  } else {
    xent_kernel<T><<<warp_blocks(call.rows), kThreads, 0, context.stream()>>>(
        x, labels, losses, as<float>(b.aux), call.rows, call.width, call.number);
  }
  check_launch("loss kernel");
  mean_kernel<<<1, kThreads, 0, context.stream()>>>(losses, call.rows, as<float>(b.y));
  check_launch("mean kernel");
}

template <class T>
void run_label_loss_backward(const Context& context, const LabelCall& call, const Bindings& b) {
  T* dx = entry<T>(b.dx, 0);
  if (dx == nullptr) return;
  const auto* labels = as<const std::int32_t>(b.x[1]);
  const auto* dy = as<const float>(b.dy);
  if (call.hinge) {
    hinge_backward_kernel<T><<<warp_blocks(call.rows), kThreads, 0, context.stream()>>>(
        as<const T>(b.x[0]), labels, dy, dx, call.rows, call.width, call.number);
  } else {
    const std::int64_t count = static_cast<std::int64_t>(call.rows) * call.width;
    xent_backward_kernel<T><<<loop_blocks(count), kThreads, 0, context.stream()>>>(
        as<const float>(b.aux), labels, dy, dx, call.rows, call.width, call.number);
  }
  check_launch("loss gradient kernel");
}

/// Scores [N, K, 1, 1] of a floating type and i32 labels; the result is f32 whatever the scores
/// are.
bool label_offer(const KernelQuery& query, const char* name, KernelOffer& offer,
                 std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return false;
  if (query.inputs[1].dtype != DType::i32) {
    refuse(reason, "labels must be 32-bit integers");
    return false;
  }
  offer = nhwc_offer(query, name);
  offer.inputs = {plain(query.inputs[0]), plain(query.inputs[1])};
  offer.output = plain_desc(query.output.shape, DType::f32);
  return true;
}

}  // namespace

Offers softmax_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return {};
  KernelOffer offer = nhwc_offer(query, "own:softmax");
  const Shape& x = query.inputs[0].shape;
  const DType dtype = query.inputs[0].dtype;
  offer.output = make_desc(x, dtype, kNhwc);
  offer.in_place = true;
  const bool forward = query.pass == Pass::forward;
  if (!forward) offer.reads = {.output = true};
  offer.make = [&context, rows = x.n * x.spatial(), width = x.c, forward, dtype,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      if (!forward && entry<std::byte>(b.dx, 0) == nullptr) return;
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (forward) {
          softmax_kernel<T><<<warp_blocks(rows), kThreads, 0, context.stream()>>>(
              as<const T>(b.x[0]), as<T>(b.y), rows, width);
        } else {
          softmax_backward_kernel<T><<<warp_blocks(rows), kThreads, 0, context.stream()>>>(
              as<const T>(b.y), as<const T>(b.dy), as<T>(b.dx[0]), rows, width);
        }
        check_launch("softmax kernel");
      });
    });
  };
  return {offer};
}

Offers label_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const bool hinge = query.op->kind() == OpKind::hinge;
  KernelOffer offer;
  if (!label_offer(query, hinge ? "own:hinge" : "own:softmax_xent", offer, reason)) return {};
  const Shape& x = query.inputs[0].shape;
  LabelCall call{x.n, x.c, 0.0f, hinge};
  call.number = hinge ? static_cast<const Hinge&>(*query.op).margin
                      : static_cast<const SoftmaxXent&>(*query.op).label_smoothing;
  const bool forward = query.pass == Pass::forward;
  if (forward) {
    offer.workspace_bytes = static_cast<std::size_t>(x.n) * sizeof(float);
    if (!hinge && query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(x.count()) * sizeof(float);
    }
  } else {
    offer.reads = {.inputs = true, .aux = !hinge};
  }
  offer.make = [&context, call, forward, dtype = query.inputs[0].dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (forward) return run_label_loss<T>(context, call, b);
        run_label_loss_backward<T>(context, call, b);
      });
    });
  };
  return {offer};
}

Offers topk_offers(Context& context, const KernelQuery& query, std::string* reason) {
  KernelOffer offer;
  if (!label_offer(query, "own:topk", offer, reason)) return {};
  const Shape& x = query.inputs[0].shape;
  offer.workspace_bytes = static_cast<std::size_t>(x.n) * sizeof(float2);
  const int k = static_cast<const TopkCount&>(*query.op).k;
  offer.make = [&context, rows = x.n, width = x.c, k, dtype = query.inputs[0].dtype,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        topk_kernel<T><<<warp_blocks(rows), kThreads, 0, context.stream()>>>(
            as<const T>(b.x[0]), as<const std::int32_t>(b.x[1]), as<float2>(b.workspace), rows,
            width, k);
        check_launch("top-k kernel");
        count_kernel<<<1, kThreads, 0, context.stream()>>>(as<const float2>(b.workspace), rows,
                                                           as<float>(b.y));
        check_launch("top-k kernel");
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
