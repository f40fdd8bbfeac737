#include "backend/cuda/columns.cuh"
#include "backend/cuda/launch.h"

namespace daybreak::cuda {
namespace {

template <class T, int V>
__global__ void bias_add_kernel(T* y, const float* bias, int rows, int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  T* at = y + static_cast<std::int64_t>(row) * channels + c;
  Pack<T, V> pack = load_pack<T, V>(at);
#pragma unroll
  for (int v = 0; v < V; ++v) pack.v[v] = from_float<T>(to_float(pack.v[v]) + bias[c + v]);
  store_pack(at, pack);
}

template <class T, int V>
struct SumTerm {
  static constexpr int kSums = 1;
  const T* dy;

  __device__ void begin(int, int) {}
  __device__ void add(std::int64_t at, float (&sums)[1][V]) const {
    const Pack<T, V> pack = load_pack<T, V>(dy + at);
#pragma unroll
    for (int v = 0; v < V; ++v) sums[0][v] += to_float(pack.v[v]);
  }
};

__global__ void bias_total_kernel(ColumnShape shape, const float* partial, float* db) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c < shape.channels) db[c] = static_cast<float>(column_total(partial, shape, 0, c));
}

}  // namespace

void launch_bias_add(const Context& context, DType dtype, void* y, const float* bias, int rows,
                     int channels) {
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    dispatch_pack<T>(channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const RowLaunch launch = row_launch(rows, channels / V);
      bias_add_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
          static_cast<T*>(y), bias, rows, channels);
      check_launch("bias kernel");
    });
  });
}

std::size_t bias_gradient_bytes(int rows, int channels) {
  return static_cast<std::size_t>(column_shape(1, rows, channels).partials()) * sizeof(float);
}

void launch_bias_gradient(const Context& context, DType dtype, const void* dy, float* db,
                          float* workspace, int rows, int channels) {
  const ColumnShape shape = column_shape(1, rows, channels);
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    dispatch_pack<T>(channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const ColumnLaunch launch = column_launch(shape, V);
      column_sums_kernel<V><<<launch.grid, launch.block, 0, context.stream()>>>(
          SumTerm<T, V>{static_cast<const T*>(dy)}, shape, workspace);
      check_launch("bias gradient kernel");
    });
  });
  bias_total_kernel<<<(channels + kThreads - 1) / kThreads, kThreads, 0, context.stream()>>>(
      shape, workspace, db);
  check_launch("bias gradient kernel");
}

}  // namespace daybreak::cuda
