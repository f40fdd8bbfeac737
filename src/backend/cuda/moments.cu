#include "backend/cuda/columns.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/moments.h"

namespace daybreak::cuda {
namespace {

/// Sums of d and d^2 with d = x - (the group's first value of the channel): large means do not
/// cancel.
template <class T, int V>
struct MomentsTerm {
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

/// statistics: [2][count].
__device__ void put(float* statistics, int count, int at, const Moments& moments) {
  statistics[at] = moments.mean;
  statistics[count + at] = moments.variance;
}

template <class T>
__global__ void finish_moments_kernel(const T* x, ColumnShape shape, const float* partial,
                                      float* statistics) {
  const int group = blockIdx.y, channel = total_channel();
  const double sum = column_total(partial, shape, group);
  const double squares = column_total(partial + shape.partials(), shape, group);
  if (threadIdx.y != 0 || channel >= shape.channels) return;
  const double first =
      to_float(x[static_cast<std::int64_t>(group) * shape.rows * shape.channels + channel]);
  put(statistics, shape.groups * shape.channels, group * shape.channels + channel,
      moments_of(shape.rows, first, sum, squares));
}

__global__ void moments_of_sums_kernel(const float* sums, const float* squares, int rows,
                                       int channels, float* statistics) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= channels) return;
  put(statistics, channels, at, moments_of(rows, 0.0, sums[at], squares[at]));
}

}  // namespace

std::size_t moments_bytes(const ColumnShape& shape) {
  return 2 * static_cast<std::size_t>(shape.partials()) * sizeof(float);
}

void launch_moments(const Context& context, DType dtype, const void* x, const ColumnShape& shape,
                    float* workspace, float* statistics) {
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = static_cast<const T*>(x);
    dispatch_pack<T>(shape.channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const ColumnLaunch sums = column_launch(shape, V);
      column_sums_kernel<V><<<sums.grid, sums.block, 0, context.stream()>>>(
          MomentsTerm<T, V>{from, shape.rows, shape.channels, {}}, shape, workspace);
      check_launch("moments kernel");
    });
    const ColumnLaunch total = total_launch(shape.channels, shape.groups);
    finish_moments_kernel<T>
        <<<total.grid, total.block, 0, context.stream()>>>(from, shape, workspace, statistics);
    check_launch("moments kernel");
  });
}

void launch_moments_of_sums(const Context& context, const float* sums, const float* squares,
                            int rows, int channels, float* statistics) {
  moments_of_sums_kernel<<<(channels + kThreads - 1) / kThreads, kThreads, 0, context.stream()>>>(
      sums, squares, rows, channels, statistics);
  check_launch("moments kernel");
}

}  // namespace daybreak::cuda
