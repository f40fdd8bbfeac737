// Changes of layout and type, and y += x. Layouts change through 32 x 32 tiles in shared memory, so
// that both sides are read and written in rows.

#include <algorithm>

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/offers.h"

namespace daybreak::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kTileRows = 8;

template <class From, class To>
struct Convert {
  __device__ static To apply(From v) { return from_float<To>(to_float(v)); }
};
template <class Same>
struct Convert<Same, Same> {
  __device__ static Same apply(Same v) { return v; }
};

/// [n, rows, columns] to [n, columns, rows].
template <class From, class To>
__global__ void transpose_kernel(const From* from, To* to, int n, int rows, int columns) {
  __shared__ To tile[kTile][kTile + 1];
  const int across = (columns + kTile - 1) / kTile;
  const int row0 = blockIdx.x / across * kTile, column0 = blockIdx.x % across * kTile;
  for (int sample = blockIdx.y; sample < n; sample += gridDim.y) {
    const std::int64_t base = static_cast<std::int64_t>(sample) * rows * columns;
    const int column = column0 + threadIdx.x;
    for (int r = threadIdx.y; r < kTile; r += kTileRows) {
      const int row = row0 + r;
      if (row < rows && column < columns) {
        tile[r][threadIdx.x] = Convert<From, To>::apply(
            from[base + static_cast<std::int64_t>(row) * columns + column]);
      }
    }
    __syncthreads();
    const int out_column = row0 + threadIdx.x;
    for (int c = threadIdx.y; c < kTile; c += kTileRows) {
      const int out_row = column0 + c;
      if (out_row < columns && out_column < rows) {
        to[base + static_cast<std::int64_t>(out_row) * rows + out_column] = tile[threadIdx.x][c];
      }
    }
    __syncthreads();
  }
}

template <class From, class To>
__global__ void cast_kernel(const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    to[i] = Convert<From, To>::apply(from[i]);
  }
}

template <class T, int V>
__global__ void accumulate_kernel(const T* x, T* y, std::int64_t packs) {
  for (std::int64_t i = loop_begin(); i < packs; i += loop_stride()) {
    const Pack<T, V> px = load_pack<T, V>(x + i * V);
    Pack<T, V> py = load_pack<T, V>(y + i * V);
#pragma unroll
    for (int v = 0; v < V; ++v) py.v[v] = from_float<T>(to_float(py.v[v]) + to_float(px.v[v]));
    store_pack(y + i * V, py);
  }
}

/// Calls f(Tag<From>, Tag<To>): any type to itself, any of them to a floating one.
template <class F>
void dispatch_cast(DType from, DType to, F&& f) {
  if (from == DType::u8 && to == DType::u8) return f(Tag<std::uint8_t>{}, Tag<std::uint8_t>{});
  if (from == DType::i32 && to == DType::i32) return f(Tag<std::int32_t>{}, Tag<std::int32_t>{});
  dispatch_float(to, [&](auto target) {
    if (from == DType::u8) return f(Tag<std::uint8_t>{}, target);
    if (from == DType::i32) return f(Tag<std::int32_t>{}, target);
    dispatch_float(from, [&](auto source) { f(source, target); });
  });
}

void launch_transpose(const Context& context, const TensorDesc& from, const TensorDesc& to,
                      const Bindings& b) {
  const Shape& s = from.shape;
  const int rows = from.layout == kNchw ? s.c : s.spatial();
  const int columns = from.layout == kNchw ? s.spatial() : s.c;
  const auto tiles = [](int extent) { return static_cast<unsigned>((extent + kTile - 1) / kTile); };
  const dim3 grid(tiles(rows) * tiles(columns), static_cast<unsigned>(std::min(s.n, 65535)));
  dispatch_cast(from.dtype, to.dtype, [&](auto source, auto target) {
    using From = typename decltype(source)::type;
    using To = typename decltype(target)::type;
    transpose_kernel<From, To><<<grid, dim3(kTile, kTileRows), 0, context.stream()>>>(
        as<const From>(b.x[0]), as<To>(b.y), s.n, rows, columns);
    check_launch("reorder kernel");
  });
}

bool known_layout(const TensorDesc& desc) {
  return desc.layout == kNchw || desc.layout == kNhwc;
}

}  // namespace

bool can_cast(DType from, DType to) {
  const bool known = is_float(from) || from == DType::u8 || from == DType::i32;
  return known && (is_float(to) || from == to);
}

void launch_cast(const Context& context, const void* from, DType from_type, void* to, DType to_type,
                 std::int64_t count) {
  dispatch_cast(from_type, to_type, [&](auto source, auto target) {
    using From = typename decltype(source)::type;
    using To = typename decltype(target)::type;
    cast_kernel<From, To><<<loop_blocks(count), kThreads, 0, context.stream()>>>(
        static_cast<const From*>(from), static_cast<To*>(to), count);
    check_launch("cast kernel");
  });
}

KernelPtr make_reorder(Context& context, const TensorDesc& from, const TensorDesc& to) {
  if (from.shape != to.shape || !known_layout(from) || !known_layout(to) ||
      !can_cast(from.dtype, to.dtype)) {
    throw DeviceError(std::string("cuda: no reorder from ") + to_string(from.dtype) + " to " +
                      to_string(to.dtype));
  }
  return make_run_kernel("reorder", [=, &context](const Bindings& b) {
    if (!same_order(from, to)) return launch_transpose(context, from, to, b);
    if (from.dtype != to.dtype) {
      return launch_cast(context, b.x[0], from.dtype, b.y, to.dtype, from.shape.count());
    }
    if (b.x[0] == b.y) return;
    check(cudaMemcpyAsync(b.y, b.x[0], from.bytes, cudaMemcpyDeviceToDevice, context.stream()),
          "cudaMemcpyAsync");
  });
}

KernelPtr make_accumulate(Context& context, const TensorDesc& desc) {
  if (!is_float(desc.dtype)) {
    throw DeviceError(std::string("cuda: cannot accumulate ") + to_string(desc.dtype));
  }
  return make_run_kernel("accumulate", [=, &context](const Bindings& b) {
    const std::int64_t count = desc.shape.count();
    dispatch_float(desc.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      dispatch_pack<T>(count, [&](auto width) {
        constexpr int V = decltype(width)::value;
        accumulate_kernel<T, V><<<loop_blocks(count / V), kThreads, 0, context.stream()>>>(
            as<const T>(b.x[0]), as<T>(b.y), count / V);
        check_launch("accumulate kernel");
      });
    });
  });
}

}  // namespace daybreak::cuda
