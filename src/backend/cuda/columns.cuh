#pragma once

#include "backend/cuda/device.cuh"
#include "backend/cuda/index.h"

// Sums over the rows of a [rows, channels] matrix (channels last): statistics and gradients of
// norms, gradients of biases. Two stages of fixed order, no atomics: blocks sum stretches of rows,
// then blocks of 32 channels add the stretches up.
namespace daybreak::cuda {

/// Blocks are `width` channel packs by 256 / width rows.
inline int column_block_width(int packs) {
  int width = 1;
  while (width < packs && width < kWarp) width *= 2;
  return width;
}

struct ColumnLaunch {
  dim3 grid, block;
};
inline ColumnLaunch column_launch(const ColumnShape& shape, int pack) {
  const int packs = shape.channels / pack;
  const int width = column_block_width(packs);
  return {dim3(static_cast<unsigned>((packs + width - 1) / width),
               static_cast<unsigned>(shape.splits), static_cast<unsigned>(shape.groups)),
          dim3(static_cast<unsigned>(width), static_cast<unsigned>(kThreads / width))};
}

/// Adds up what `term` says about every element; Term::kSums sums per channel (1 or 2).
/// partial: [kSums][groups][splits][channels]. Reads each element once, V per access.
template <int V, class Term>
__global__ void __launch_bounds__(kThreads)
    column_sums_kernel(Term term, ColumnShape shape, float* partial) {
  constexpr int kSums = Term::kSums;
  __shared__ float shared[kSums * V * kThreads];
  const int pack = blockIdx.x * blockDim.x + threadIdx.x;
  const int channel = pack * V;
  const bool inside = channel < shape.channels;
  float sums[kSums][V] = {};
  if (inside) {
    term.begin(blockIdx.z, channel);
    const Span rows = shape.stretch(blockIdx.y);
    for (int row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
      const std::int64_t at =
          (static_cast<std::int64_t>(blockIdx.z) * shape.rows + row) * shape.channels + channel;
      term.add(at, sums);
    }
  }
  const int self = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
#pragma unroll
    for (int v = 0; v < V; ++v) shared[(s * V + v) * kThreads + self] = sums[s][v];
  }
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.y) < half) {
#pragma unroll
      for (int i = 0; i < kSums * V; ++i) {
        shared[i * kThreads + self] += shared[i * kThreads + self + half * blockDim.x];
      }
    }
  }
  if (threadIdx.y != 0 || !inside) return;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    float* to =
        partial + s * shape.partials() +
        (static_cast<std::int64_t>(blockIdx.z) * shape.splits + blockIdx.y) * shape.channels +
        channel;
#pragma unroll
    for (int v = 0; v < V; ++v) to[v] = shared[(s * V + v) * kThreads + self];
  }
}

/// Blocks that add up what column_sums_kernel has written: 32 channels by 16 strands of stretches.
constexpr int kTotalChannels = 32, kTotalStrands = 16;
inline ColumnLaunch total_launch(int channels, int groups = 1) {
  return {dim3(static_cast<unsigned>((channels + kTotalChannels - 1) / kTotalChannels),
               static_cast<unsigned>(groups)),
          dim3(kTotalChannels, kTotalStrands)};
}
__device__ __forceinline__ int total_channel() {
  return blockIdx.x * kTotalChannels + threadIdx.x;
}

/// The sum over the stretches of total_channel() of a group, in fixed order; valid where
/// threadIdx.y is 0. All threads of the block must call it.
__device__ __forceinline__ double column_total(const float* partial, const ColumnShape& shape,
                                               int group) {
  __shared__ double strands[kTotalStrands][kTotalChannels];
  const int channel = total_channel();
  double sum = 0.0;
  if (channel < shape.channels) {
    const float* at =
        partial + static_cast<std::int64_t>(group) * shape.splits * shape.channels + channel;
    for (int split = threadIdx.y; split < shape.splits; split += kTotalStrands) {
      sum += at[static_cast<std::int64_t>(split) * shape.channels];
    }
  }
  __syncthreads();  // an earlier total's values have been read
  strands[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0) {
    for (int strand = 1; strand < kTotalStrands; ++strand) sum += strands[strand][threadIdx.x];
  }
  return sum;
}

}  // namespace daybreak::cuda
