#pragma once

#include "backend/cuda/device.cuh"

// Sums over the rows of a [rows, channels] matrix (channels last): statistics and gradients of
// norms, gradients of biases. Two stages of fixed order, no atomics: blocks sum stretches of rows,
// then one thread per channel adds the stretches in order.
namespace daybreak::cuda {

/// `groups` matrices of `rows` x `channels`, one behind the other; each is cut into `splits`
/// stretches. The cut depends on the shape alone, so results do not depend on the GPU.
struct ColumnShape {
  int groups = 1, rows = 1, channels = 1;
  int splits = 1;

  __host__ __device__ int split_rows() const { return (rows + splits - 1) / splits; }
  __host__ __device__ std::int64_t partials() const {
    return static_cast<std::int64_t>(groups) * splits * channels;
  }
};

/// Blocks are `width` channel packs by 256 / width rows.
inline int column_block_width(int packs) {
  int width = 1;
  while (width < packs && width < kWarp) width *= 2;
  return width;
}

inline ColumnShape column_shape(int groups, int rows, int channels) {
  constexpr std::int64_t kBlocks = 1024;
  constexpr int kLeastRows = 32;
  const std::int64_t across = (channels + 255) / 256;
  std::int64_t splits = kBlocks / (across * groups);
  const std::int64_t most = rows / kLeastRows;
  if (splits > most) splits = most;
  if (splits < 1) splits = 1;
  return {groups, rows, channels, static_cast<int>(splits)};
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
    const int begin = blockIdx.y * shape.split_rows();
    const int end = min(begin + shape.split_rows(), shape.rows);
    for (int row = begin + threadIdx.y; row < end; row += blockDim.y) {
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

/// The sum over the stretches of one channel of one group.
__device__ __forceinline__ double column_total(const float* partial, const ColumnShape& shape,
                                               int group, int channel) {
  double sum = 0.0;
  const float* at =
      partial + static_cast<std::int64_t>(group) * shape.splits * shape.channels + channel;
  for (int split = 0; split < shape.splits; ++split) {
    sum += at[static_cast<std::int64_t>(split) * shape.channels];
  }
  return sum;
}

}  // namespace daybreak::cuda
