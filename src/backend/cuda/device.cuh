#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backend/cuda/check.h"
#include "backend/cuda/index.h"
#include "core/philox.h"
#include "core/shape.h"
#include "ops/act_kind.h"

// What device code of all kernels shares: types, packs, reductions of fixed order, launch shapes.
namespace daybreak::cuda {

template <class T>
struct Tag {
  using type = T;
};

/// Calls f(Tag<T>) with the device type of a floating dtype.
template <class F>
void dispatch_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(Tag<float>{});
    case DType::bf16:
      return f(Tag<__nv_bfloat16>{});
    case DType::f16:
      return f(Tag<__half>{});
    default:
      return;  // refused when the kernel was offered
  }
}

__device__ __forceinline__ float to_float(float v) {
  return v;
}
__device__ __forceinline__ float to_float(__nv_bfloat16 v) {
  return __bfloat162float(v);
}
__device__ __forceinline__ float to_float(__half v) {
  return __half2float(v);
}
__device__ __forceinline__ float to_float(std::uint8_t v) {
  return static_cast<float>(v);
}
__device__ __forceinline__ float to_float(std::int32_t v) {
  return static_cast<float>(v);
}

template <class T>
__device__ __forceinline__ T from_float(float v);
template <>
__device__ __forceinline__ float from_float<float>(float v) {
  return v;
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}
template <>
__device__ __forceinline__ __half from_float<__half>(float v) {
  return __float2half_rn(v);
}

/// The smallest number above one that is finite.
template <class T>
__device__ __forceinline__ T next_above(T v) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>;
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(T) - 1));
  Bits bits;
  memcpy(&bits, &v, sizeof(T));
  const bool negative = (bits & kSign) != 0, zero = (bits & ~kSign) == 0;
  bits = static_cast<Bits>(zero ? 1 : negative ? bits - 1 : bits + 1);
  memcpy(&v, &bits, sizeof(T));
  return v;
}

/// V neighbouring elements, read and written in one access (at most 16 bytes).
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

template <class T, int V>
__device__ __forceinline__ Pack<T, V> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}
template <class T, int V>
__device__ __forceinline__ void store_pack(T* to, const Pack<T, V>& pack) {
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

/// Elements of one 16-byte access.
template <class T>
constexpr int kFullPack = 16 / static_cast<int>(sizeof(T));

/// Calls f(std::integral_constant) with the pack width that `channels` allows: 16 bytes or 1.
template <class T, class F>
void dispatch_pack(std::int64_t channels, F&& f) {
  if (channels % kFullPack<T> == 0) {
    f(std::integral_constant<int, kFullPack<T>>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

__host__ __device__ __forceinline__ float activate(Activation act, float z) {
  switch (act.kind) {
    case ActKind::none:
      return z;
    case ActKind::relu:
      return z > 0.0f ? z : (z == z ? 0.0f : z);
    case ActKind::leaky:
      return z > 0.0f ? z : z * act.slope;
    case ActKind::sigmoid:
      return 1.0f / (1.0f + expf(-z));
    case ActKind::tanh:
      return tanhf(z);
    case ActKind::relu6:
      return z == z ? fminf(fmaxf(z, 0.0f), 6.0f) : z;
    case ActKind::elu:
      return z > 0.0f ? z : expm1f(z);
    case ActKind::selu:
      return 1.05070099f * (z > 0.0f ? z : 1.67326324f * expm1f(z));
    case ActKind::swish:
      return z / (1.0f + expf(-z));
    case ActKind::mish:
      return z * tanhf(z > 0.0f ? z + log1pf(expf(-z)) : log1pf(expf(z)));
    case ActKind::hard_mish:
      return z > 0.0f ? z : (z > -2.0f ? z * (0.5f * z + 1.0f) : 0.0f * z);
    case ActKind::gelu:
      return 0.5f * z * (1.0f + tanhf(z * (0.79788456f + 0.03567741f * z * z)));
    case ActKind::ramp:
      return (z > 0.0f ? z : 0.0f) + 0.1f * z;
    case ActKind::loggy:
      return tanhf(0.5f * z);
    case ActKind::hardtan:
      return z == z ? fminf(fmaxf(z, -1.0f), 1.0f) : z;
    case ActKind::lhtan:
      return z < 0.0f ? 0.001f * z : (z > 1.0f ? 0.001f * (z - 1.0f) + 1.0f : z);
    case ActKind::plse:
      return z < -4.0f ? 0.01f * (z + 4.0f)
                       : (z > 4.0f ? 0.01f * (z - 4.0f) + 1.0f : 0.125f * z + 0.5f);
    case ActKind::stair: {
      const float n = floorf(z), half = floorf(0.5f * z);
      return 2.0f * half == n ? half : z - n + half;
    }
  }
  return z;
}

/// Derivative of an activation, from its output y, or from its input where needs_input().
__host__ __device__ __forceinline__ float activation_slope(Activation act, float y) {
  switch (act.kind) {
    case ActKind::none:
      return 1.0f;
    case ActKind::relu:
      return y > 0.0f ? 1.0f : 0.0f;
    case ActKind::leaky:
      return y > 0.0f ? 1.0f : act.slope;
    case ActKind::sigmoid:
      return y * (1.0f - y);
    case ActKind::tanh:
      return 1.0f - y * y;
    case ActKind::relu6:
      return y > 0.0f && y < 6.0f ? 1.0f : 0.0f;
    case ActKind::elu:
      return y > 0.0f ? 1.0f : y + 1.0f;
    case ActKind::selu:
      return y > 0.0f ? 1.05070099f : y + 1.05070099f * 1.67326324f;
    case ActKind::hard_mish:
      return y > 0.0f ? 1.0f : (y > -2.0f ? y + 1.0f : 0.0f);
    case ActKind::ramp:
      return y > 0.0f ? 1.1f : 0.1f;
    case ActKind::loggy:
      return 0.5f * (1.0f - y * y);
    case ActKind::hardtan:
      return y > -1.0f && y < 1.0f ? 1.0f : 0.0f;
    case ActKind::lhtan:
      return y > 0.0f && y < 1.0f ? 1.0f : 0.001f;
    case ActKind::plse:
      return y < 0.0f || y > 1.0f ? 0.01f : 0.125f;
    case ActKind::stair:
      return y == floorf(y) ? 0.0f : 1.0f;
    case ActKind::swish: {
      const float s = 1.0f / (1.0f + expf(-y));
      return s * (1.0f + y * (1.0f - s));
    }
    case ActKind::mish: {
      const float t = tanhf(y > 0.0f ? y + log1pf(expf(-y)) : log1pf(expf(y)));
      return t + y * (1.0f - t * t) / (1.0f + expf(-y));
    }
    case ActKind::gelu: {
      const float t = tanhf(y * (0.79788456f + 0.03567741f * y * y));
      return 0.5f * (1.0f + t) +
             0.5f * y * (1.0f - t * t) * (0.79788456f + 3.0f * 0.03567741f * y * y);
    }
  }
  return 1.0f;
}

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

/// Sum over the warp, the same on every lane; the order is a fixed tree.
__device__ __forceinline__ float warp_sum(float v) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllLanes, v, offset);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, offset));
  }
  return v;
}
__device__ __forceinline__ int warp_sum(int v) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllLanes, v, offset);
  return v;
}

/// Sum over a one-dimensional block of at most 1024 threads, valid on thread 0; fixed order.
/// All threads must call it; `shared` holds 32 values of the type.
template <class T>
__device__ __forceinline__ T block_sum(T v, T* shared) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllLanes, v, offset);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  __syncthreads();  // an earlier sum's values have been read
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  const int warps = (blockDim.x + kWarp - 1) / kWarp;
  if (warp == 0) {
    v = lane < warps ? shared[lane] : T(0);
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      v += __shfl_xor_sync(kAllLanes, v, offset);
    }
  }
  return v;
}

/// Blocks of a grid-stride loop over `count` items.
inline int loop_blocks(std::int64_t count, int per_block = kThreads) {
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  constexpr std::int64_t kMost = 132 * 16;  // enough to fill a large GPU; the loop does the rest
  return static_cast<int>(blocks < 1 ? 1 : (blocks < kMost ? blocks : kMost));
}

__device__ __forceinline__ std::int64_t loop_begin() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ std::int64_t loop_stride() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

/// Launch shape for kernels with one thread per (row, channel pack): x runs over channels.
struct RowLaunch {
  dim3 grid, block;
};
inline RowLaunch row_launch(std::int64_t rows, int columns) {
  const RowGrid grid = row_grid(rows, columns);
  return {dim3(grid.blocks_x, grid.blocks_y), dim3(grid.width, grid.height)};
}
__device__ __forceinline__ int launch_row() {
  return blockIdx.x * blockDim.y + threadIdx.y;
}
__device__ __forceinline__ int launch_column() {
  return blockIdx.y * blockDim.x + threadIdx.x;
}

}  // namespace daybreak::cuda
