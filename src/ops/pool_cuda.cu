// Max, average and adaptive average pooling, channels last: one thread per pixel and channel pack.
// Backward gathers: every input pixel adds up the windows over it in row order, so nothing is
// atomic.

#include <limits>

#include "backend/cuda/device.cuh"
#include "backend/cuda/index.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/adaptive_avgpool.h"
#include "ops/pool.h"

namespace daybreak::cuda {
namespace {

/// Both kinds of windows: fixed ones, or adaptive ones that follow the output size.
struct Windows {
  WindowAxis h, w;
  bool adaptive = false;
  bool count_padding = false;

  __device__ static Span inputs(const WindowAxis& axis, bool adaptive, int o) {
    return adaptive ? adaptive_inputs(axis.in, axis.out, o) : window_inputs(axis, o);
  }
  __device__ static Span outputs(const WindowAxis& axis, bool adaptive, int i) {
    return adaptive ? adaptive_outputs(axis.in, axis.out, i) : windows_over(axis, i);
  }
  __device__ float divisor(int oh, int ow, const Span& sh, const Span& sw) const {
    if (count_padding) {
      return static_cast<float>(window_padded_extent(h, oh)) *
             static_cast<float>(window_padded_extent(w, ow));
    }
    return static_cast<float>(sh.end - sh.begin) * static_cast<float>(sw.end - sw.begin);
  }
};

/// A pixel of a sample, from the row number of a [N * H * W, C] matrix.
struct Pixel {
  int n, h, w;
  __device__ Pixel(int row, int height, int width) {
    w = row % width;
    h = row / width % height;
    n = row / width / height;
  }
};

/// Winners are window-relative positions, row by row: Index is u8 for windows of up to 255 pixels.
template <class T, class Index, int V>
__global__ void max_pool_kernel(const T* x, T* y, Index* winners, Windows windows, int rows,
                                int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  const Pixel p(row, windows.h.out, windows.w.out);
  const Span sh = window_inputs(windows.h, p.h), sw = window_inputs(windows.w, p.w);
  const int top = p.h * windows.h.stride - windows.h.before;
  const int left = p.w * windows.w.stride - windows.w.before;
  float best[V];
  int where[V];
  for (int h = sh.begin; h < sh.end; ++h) {
    for (int w = sw.begin; w < sw.end; ++w) {
      const std::int64_t at =
          ((static_cast<std::int64_t>(p.n) * windows.h.in + h) * windows.w.in + w) * channels + c;
      const Pack<T, V> pack = load_pack<T, V>(x + at);
      const bool first = h == sh.begin && w == sw.begin;
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float value = to_float(pack.v[v]);
        // The first of equal values wins, and a NaN over any number.
        if (first || value > best[v] || (value != value && best[v] == best[v])) {
          best[v] = value;
          where[v] = (h - top) * windows.w.size + (w - left);
        }
      }
    }
  }
  const std::int64_t to = static_cast<std::int64_t>(row) * channels + c;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    y[to + v] = from_float<T>(best[v]);
    if (winners != nullptr) winners[to + v] = static_cast<Index>(where[v]);
  }
}

template <class T, class Index, int V>
__global__ void max_pool_backward_kernel(const T* dy, const Index* winners, T* dx, Windows windows,
                                         int rows, int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  const Pixel p(row, windows.h.in, windows.w.in);
  const Span oh = windows_over(windows.h, p.h), ow = windows_over(windows.w, p.w);
  float sum[V] = {};
  for (int h = oh.begin; h < oh.end; ++h) {
    for (int w = ow.begin; w < ow.end; ++w) {
      const int self = (p.h - (h * windows.h.stride - windows.h.before)) * windows.w.size +
                       (p.w - (w * windows.w.stride - windows.w.before));
      const std::int64_t at =
          ((static_cast<std::int64_t>(p.n) * windows.h.out + h) * windows.w.out + w) * channels + c;
#pragma unroll
      for (int v = 0; v < V; ++v) {
        if (static_cast<int>(winners[at + v]) == self) sum[v] += to_float(dy[at + v]);
      }
    }
  }
  const std::int64_t to = static_cast<std::int64_t>(row) * channels + c;
#pragma unroll
  for (int v = 0; v < V; ++v) dx[to + v] = from_float<T>(sum[v]);
}

template <class T, int V>
__global__ void average_pool_kernel(const T* x, T* y, Windows windows, int rows, int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  const Pixel p(row, windows.h.out, windows.w.out);
  const Span sh = Windows::inputs(windows.h, windows.adaptive, p.h);
  const Span sw = Windows::inputs(windows.w, windows.adaptive, p.w);
  float sum[V] = {};
  for (int h = sh.begin; h < sh.end; ++h) {
    for (int w = sw.begin; w < sw.end; ++w) {
      const std::int64_t at =
          ((static_cast<std::int64_t>(p.n) * windows.h.in + h) * windows.w.in + w) * channels + c;
      const Pack<T, V> pack = load_pack<T, V>(x + at);
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] += to_float(pack.v[v]);
    }
  }
  const float divisor = windows.divisor(p.h, p.w, sh, sw);
  const std::int64_t to = static_cast<std::int64_t>(row) * channels + c;
#pragma unroll
  for (int v = 0; v < V; ++v) y[to + v] = from_float<T>(sum[v] / divisor);
}

template <class T, int V>
__global__ void average_pool_backward_kernel(const T* dy, T* dx, Windows windows, int rows,
                                             int channels) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= rows || c >= channels) return;
  const Pixel p(row, windows.h.in, windows.w.in);
  const Span oh = Windows::outputs(windows.h, windows.adaptive, p.h);
  const Span ow = Windows::outputs(windows.w, windows.adaptive, p.w);
  float sum[V] = {};
  for (int h = oh.begin; h < oh.end; ++h) {
    const Span sh = Windows::inputs(windows.h, windows.adaptive, h);
    for (int w = ow.begin; w < ow.end; ++w) {
      const Span sw = Windows::inputs(windows.w, windows.adaptive, w);
      const float divisor = windows.divisor(h, w, sh, sw);
      const std::int64_t at =
          ((static_cast<std::int64_t>(p.n) * windows.h.out + h) * windows.w.out + w) * channels + c;
      const Pack<T, V> pack = load_pack<T, V>(dy + at);
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] += to_float(pack.v[v]) / divisor;
    }
  }
  const std::int64_t to = static_cast<std::int64_t>(row) * channels + c;
#pragma unroll
  for (int v = 0; v < V; ++v) dx[to + v] = from_float<T>(sum[v]);
}

/// A prepared call: rows are the pixels of the tensor that is written.
struct PoolCall {
  Windows windows;
  int in_rows, out_rows, channels;
  bool max, small_index, forward;
};

template <class T, class Index, int V>
void launch_max(const Context& context, const PoolCall& call, const Bindings& b) {
  const int rows = call.forward ? call.out_rows : call.in_rows;
  const RowLaunch launch = row_launch(rows, call.channels / V);
  if (call.forward) {
    max_pool_kernel<T, Index, V><<<launch.grid, launch.block, 0, context.stream()>>>(
        as<const T>(b.x[0]), as<T>(b.y), as<Index>(b.aux), call.windows, rows, call.channels);
  } else {
    max_pool_backward_kernel<T, Index, V><<<launch.grid, launch.block, 0, context.stream()>>>(
        as<const T>(b.dy), as<const Index>(b.aux), as<T>(b.dx[0]), call.windows, rows,
        call.channels);
  }
  check_launch("max pooling kernel");
}

template <class T, int V>
void launch_average(const Context& context, const PoolCall& call, const Bindings& b) {
  const int rows = call.forward ? call.out_rows : call.in_rows;
  const RowLaunch launch = row_launch(rows, call.channels / V);
  if (call.forward) {
    average_pool_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
        as<const T>(b.x[0]), as<T>(b.y), call.windows, rows, call.channels);
  } else {
    average_pool_backward_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
        as<const T>(b.dy), as<T>(b.dx[0]), call.windows, rows, call.channels);
  }
  check_launch("average pooling kernel");
}

template <class T>
void run_pool(const Context& context, const PoolCall& call, const Bindings& b) {
  if (!call.forward && entry<T>(b.dx, 0) == nullptr) return;
  dispatch_pack<T>(call.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    if (!call.max) return launch_average<T, V>(context, call, b);
    if (call.small_index) return launch_max<T, std::uint8_t, V>(context, call, b);
    launch_max<T, std::int32_t, V>(context, call, b);
  });
}

PoolCall make_call(const KernelQuery& query) {
  const Shape &x = query.inputs[0].shape, &y = query.output.shape;
  PoolCall call{};
  call.in_rows = x.n * x.h * x.w;
  call.out_rows = y.n * y.h * y.w;
  call.channels = x.c;
  call.forward = query.pass == Pass::forward;
  call.windows.h = {x.h, y.h, 1, 1, 0, 0};
  call.windows.w = {x.w, y.w, 1, 1, 0, 0};
  return call;
}

KernelOffer pool_offer(Context& context, const KernelQuery& query, const PoolCall& call,
                       const char* kernel) {
  KernelOffer offer = nhwc_offer(query, kernel);
  const DType dtype = offer.inputs[0].dtype;
  offer.output = make_desc(offer.output.shape, dtype, kNhwc);
  offer.make = [&context, call, dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype,
                     [&](auto tag) { run_pool<typename decltype(tag)::type>(context, call, b); });
    });
  };
  return offer;
}

bool pool_fits(const KernelQuery& query, std::string* reason) {
  return float_types(query, reason) && rows_fit(query.inputs[0].shape, reason) &&
         rows_fit(query.output.shape, reason);
}

}  // namespace

Offers pool_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!pool_fits(query, reason)) return {};
  const auto& op = static_cast<const Pool&>(*query.op);
  const Shape &x = query.inputs[0].shape, &y = query.output.shape;
  PoolCall call = make_call(query);
  call.windows.h = {x.h, y.h, op.size_h, op.stride_h, op.pad_top, op.pad_bottom};
  call.windows.w = {x.w, y.w, op.size_w, op.stride_w, op.pad_left, op.pad_right};
  call.windows.count_padding = op.count_padding;
  call.max = op.pool == PoolKind::max;
  const std::int64_t area = static_cast<std::int64_t>(op.size_h) * op.size_w;
  if (area > std::numeric_limits<int>::max()) {
    refuse(reason, "a window of more than 2^31 pixels");
    return {};
  }
  call.small_index = area <= 256;
  KernelOffer offer = pool_offer(context, query, call, call.max ? "own:maxpool" : "own:avgpool");
  if (call.max && !call.forward) offer.reads = {.aux = true};
  if (call.max && call.forward && query.mode == Mode::train) {
    offer.aux_bytes = static_cast<std::size_t>(y.count()) * (call.small_index ? 1 : 4);
  }
  return {offer};
}

Offers adaptive_avgpool_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!pool_fits(query, reason)) return {};
  PoolCall call = make_call(query);
  call.windows.adaptive = true;
  return {pool_offer(context, query, call, "own:adaptive_avgpool")};
}

}  // namespace daybreak::cuda
