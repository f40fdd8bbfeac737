#include "backend/cuda/columns.cuh"
#include "backend/cuda/launch.h"

namespace daybreak::cuda {
namespace {

/// y = act(y + bias + residual); the latter two may be null.
template <class T, int V>
__global__ void epilogue_kernel(T* y, const float* bias, const T* residual, Activation act,
                                int rows, int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  const std::int64_t at = static_cast<std::int64_t>(row) * channels + c;
  Pack<T, V> pack = load_pack<T, V>(y + at), more = pack;
  if (residual != nullptr) more = load_pack<T, V>(residual + at);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    float value = to_float(pack.v[v]);
    if (bias != nullptr) value += bias[c + v];
    if (residual != nullptr) value += to_float(more.v[v]);
    pack.v[v] = from_float<T>(activate(act, value));
  }
  store_pack(y + at, pack);
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
  const double sum = column_total(partial, shape, 0);
  const int c = total_channel();
  if (threadIdx.y == 0 && c < shape.channels) db[c] = static_cast<float>(sum);
}

}  // namespace

void launch_epilogue(const Context& context, DType dtype, void* y, const float* bias,
                     const void* residual, Activation act, int rows, int channels) {
  dispatch_float(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    dispatch_pack<T>(channels, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const RowLaunch launch = row_launch(rows, channels / V);
      epilogue_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
          static_cast<T*>(y), bias, static_cast<const T*>(residual), act, rows, channels);
      check_launch("epilogue kernel");
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
  const ColumnLaunch total = total_launch(channels);
  bias_total_kernel<<<total.grid, total.block, 0, context.stream()>>>(shape, workspace, db);
  check_launch("bias gradient kernel");
}

}  // namespace daybreak::cuda
