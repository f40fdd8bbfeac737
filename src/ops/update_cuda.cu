// Optimizers over flat arenas, one launch for all parameters: a table of chunks in device memory
// says where each block works and with which learning-rate factor and decay. Moves 4 to 7 arrays
// of 4 bytes per parameter once, and writes the rounded weights, 2 bytes each. Formulas as in
// backend/ref/ref_update.cpp, in float.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/chunks.h"
#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/update.h"

namespace daybreak::cuda {
namespace {

struct UpdateArrays {
  float* w;
  const float* g;
  float* slot[3];
  __nv_bfloat16* bf16;  ///< rounded weights; null: not kept
  __half* f16;
};

/// Numbers of a step that are the same for a whole chunk.
struct Step {
  float lr, momentum;
  float factor;                                    ///< of gradients: scale and clipping
  float inverse_correction1, inverse_correction2;  ///< adam: 1 / (1 - beta^t)
  bool first;
};

/// What is subtracted from the weight; moves the slots on. g holds scale, clipping and l2 decay.
__device__ __forceinline__ float sgd_delta(const OptimizerAttrs& a, const Step& s, float g,
                                           float* slot) {
  const float before = slot[0];
  if (a.lr_in_slot) {
    const float now = s.momentum * before + s.lr * g;
    slot[0] = now;
    return a.nesterov ? (1.0f + s.momentum) * now - s.momentum * before : now;
  }
  const float buffer = s.first ? g : s.momentum * before + (1.0f - a.dampening) * g;
  slot[0] = buffer;
  return s.lr * (a.nesterov ? g + s.momentum * buffer : buffer);
}

__device__ __forceinline__ float rmsprop_delta(const OptimizerAttrs& a, const Step& s, float g,
                                               float* slot) {
  slot[0] = a.alpha * slot[0] + (1.0f - a.alpha) * g * g;
  float variance = slot[0];
  if (a.centered) {
    slot[2] = a.alpha * slot[2] + (1.0f - a.alpha) * g;
    variance = fmaxf(0.0f, variance - slot[2] * slot[2]);  // rounding may leave it below 0
  }
  slot[1] = s.momentum * slot[1] + g / (sqrtf(variance) + a.eps);
  return s.lr * slot[1];
}

__device__ __forceinline__ float delta_of(const OptimizerAttrs& a, const Step& s, float g,
                                          float* slot) {
  switch (a.kind) {
    case OptimizerKind::sgd:
      return sgd_delta(a, s, g, slot);
    case OptimizerKind::adagrad:
      slot[0] += g * g;
      return s.lr * g / (sqrtf(slot[0]) + a.eps);
    case OptimizerKind::rmsprop:
      return rmsprop_delta(a, s, g, slot);
    case OptimizerKind::adadelta: {
      slot[0] = a.rho * slot[0] + (1.0f - a.rho) * g * g;
      const float delta = sqrtf(slot[1] + a.eps) / sqrtf(slot[0] + a.eps) * g;
      slot[1] = a.rho * slot[1] + (1.0f - a.rho) * delta * delta;
      return s.lr * delta;
    }
    case OptimizerKind::adam:
      slot[0] = s.momentum * slot[0] + (1.0f - s.momentum) * g;
      slot[1] = a.beta2 * slot[1] + (1.0f - a.beta2) * g * g;
      return s.lr * (slot[0] * s.inverse_correction1) /
             (sqrtf(slot[1] * s.inverse_correction2) + a.eps);
  }
  return 0.0f;
}

/// The step of a chunk, computed by one thread: powers are taken in double.
__device__ Step make_step(const OptimizerAttrs& a, const StepScalars& scalars, float lr_scale) {
  Step step{};
  step.lr = scalars.lr * lr_scale;
  step.momentum = scalars.momentum;
  step.factor = static_cast<float>(gradient_factor(scalars));
  step.first = update_number(scalars) == 1;
  if (a.kind == OptimizerKind::adam) {
    const double t = static_cast<double>(update_number(scalars));
    step.inverse_correction1 =
        static_cast<float>(1.0 / (1.0 - pow(static_cast<double>(scalars.momentum), t)));
    step.inverse_correction2 =
        static_cast<float>(1.0 / (1.0 - pow(static_cast<double>(a.beta2), t)));
  }
  return step;
}

template <class T, int V>
__device__ __forceinline__ void store_rounded(T* to, const Pack<float, V>& weights) {
  Pack<T, V> rounded;
#pragma unroll
  for (int v = 0; v < V; ++v) rounded.v[v] = from_float<T>(weights.v[v]);
  store_pack(to, rounded);
}

template <int V>
__device__ __forceinline__ void update_elements(const OptimizerAttrs& a, const Step& step,
                                                float decay, int slots, const UpdateArrays& arrays,
                                                std::int64_t at) {
  const Pack<float, V> pg = load_pack<float, V>(arrays.g + at);
  Pack<float, V> pw = load_pack<float, V>(arrays.w + at);
  Pack<float, V> ps[3] = {};
#pragma unroll
  for (int s = 0; s < 3; ++s) {
    if (s < slots) ps[s] = load_pack<float, V>(arrays.slot[s] + at);
  }
  const bool decoupled = a.decay == DecayForm::decoupled;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const float w = pw.v[v];
    const float g = pg.v[v] * step.factor + (decoupled ? 0.0f : decay * w);
    float slot[3] = {ps[0].v[v], ps[1].v[v], ps[2].v[v]};
    const float delta = delta_of(a, step, g, slot);
    pw.v[v] = (decoupled ? w * (1.0f - step.lr * decay) : w) - delta;
#pragma unroll
    for (int s = 0; s < 3; ++s) ps[s].v[v] = slot[s];
  }
  store_pack(arrays.w + at, pw);
  if (arrays.bf16 != nullptr) store_rounded(arrays.bf16 + at, pw);
  if (arrays.f16 != nullptr) store_rounded(arrays.f16 + at, pw);
#pragma unroll
  for (int s = 0; s < 3; ++s) {
    if (s < slots) store_pack(arrays.slot[s] + at, ps[s]);
  }
}

__global__ void __launch_bounds__(kThreads)
    update_kernel(OptimizerAttrs attrs, int slots, UpdateArrays arrays, const Chunk* chunks,
                  const StepScalars* scalars) {
  __shared__ Step step;
  if (skips_update(*scalars)) return;  // the same for all threads of all blocks
  const Chunk chunk = chunks[blockIdx.x];
  if (threadIdx.x == 0) step = make_step(attrs, *scalars, chunk.lr_scale);
  __syncthreads();
  const int packs = chunk.offset % 4 == 0 ? chunk.count / 4 : 0;
  for (int i = threadIdx.x; i < packs; i += blockDim.x) {
    update_elements<4>(attrs, step, chunk.weight_decay, slots, arrays, chunk.offset + 4 * i);
  }
  for (int i = packs * 4 + threadIdx.x; i < chunk.count; i += blockDim.x) {
    update_elements<1>(attrs, step, chunk.weight_decay, slots, arrays, chunk.offset + i);
  }
}

__global__ void __launch_bounds__(kThreads)
    norm_chunks_kernel(const float* g, const Chunk* chunks, double* partial) {
  __shared__ double shared[kWarp];
  const Chunk chunk = chunks[blockIdx.x];
  double sum = 0.0;
  for (int i = threadIdx.x; i < chunk.count; i += blockDim.x) {
    const double value = g[chunk.offset + i];
    sum += value * value;
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void norm_total_kernel(const double* partial, int chunks, StepScalars* scalars) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < chunks; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) scalars->grad_norm = gradient_norm_of(*scalars, sqrt(sum));
}

/// Behind the update, when no block reads the scalars any more. One thread.
__global__ void finish_update_kernel(StepScalars* scalars) {
  finish_update(*scalars);
}

bool same(const UpdateGroup& a, const UpdateGroup& b) {
  return a.offset == b.offset && a.count == b.count && a.lr_scale == b.lr_scale &&
         a.weight_decay == b.weight_decay && a.frozen == b.frozen;
}

class CudaUpdate final : public UpdateKernel {
 public:
  CudaUpdate(Context& context, const OptimizerAttrs& attrs) : context_(context), attrs_(attrs) {}

  void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
            StepScalars* scalars) override {
    set_groups(groups);
    if (chunks_ > 0) {
      norm_chunks_kernel<<<chunks_, kThreads, 0, context_.stream()>>>(
          as<const float>(gradients), table_.as<const Chunk>(), partial_.as<double>());
      check_launch("gradient norm kernel");
    }
    norm_total_kernel<<<1, kThreads, 0, context_.stream()>>>(partial_.as<const double>(), chunks_,
                                                             scalars);
    check_launch("gradient norm kernel");
  }

  void update(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
              StepScalars* scalars) override {
    DAYBREAK_ASSERT(static_cast<int>(arenas.slots.size()) == attrs_.slots());
    set_groups(groups);
    if (chunks_ > 0) {
      update_kernel<<<chunks_, kThreads, 0, context_.stream()>>>(
          attrs_, attrs_.slots(), arrays_of(arenas), table_.as<const Chunk>(), scalars);
      check_launch("update kernel");
    }
    finish_update_kernel<<<1, 1, 0, context_.stream()>>>(scalars);
    check_launch("update kernel");
  }

 private:
  static UpdateArrays arrays_of(const UpdateArenas& arenas) {
    UpdateArrays arrays{};
    arrays.w = as<float>(arenas.weights);
    arrays.g = as<const float>(arenas.gradients);
    for (std::size_t i = 0; i < arenas.slots.size(); ++i) {
      arrays.slot[i] = as<float>(arenas.slots[i]);
    }
    for (const RoundedWeights& rounded : arenas.rounded) {
      if (rounded.dtype == DType::bf16) arrays.bf16 = as<__nv_bfloat16>(rounded.data);
      if (rounded.dtype == DType::f16) arrays.f16 = as<__half>(rounded.data);
    }
    return arrays;
  }

  // The table is written anew only when the groups change (at the start of a phase), at the same
  // address while it fits, so a recorded step goes on using it.
  void set_groups(std::span<const UpdateGroup> groups) {
    if (std::equal(groups.begin(), groups.end(), groups_.begin(), groups_.end(), same)) return;
    const std::vector<Chunk> chunks = cut_chunks(groups);
    const std::size_t bytes = chunks.size() * sizeof(Chunk);
    if (bytes > table_.bytes()) {
      check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
      table_ = DeviceBuffer(bytes);
      partial_ = DeviceBuffer(chunks.size() * sizeof(double));
    }
    upload(context_, table_.as<void>(), chunks.data(), bytes);
    chunks_ = static_cast<int>(chunks.size());
    groups_.assign(groups.begin(), groups.end());
  }

  Context& context_;
  OptimizerAttrs attrs_;
  std::vector<UpdateGroup> groups_;
  DeviceBuffer table_, partial_;
  int chunks_ = 0;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_optimizer(Context& context, const OptimizerAttrs& attrs) {
  return std::make_unique<CudaUpdate>(context, attrs);
}

}  // namespace daybreak::cuda
