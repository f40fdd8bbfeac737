// Products, channels last. The second factor has the first one's shape, or is one number for each
// channel of a sample, or one for each pixel. Its gradient is then a sum: over the pixels by
// stretches of fixed order, over the channels by one warp for each pixel.

#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/multiply.h"

namespace daybreak::cuda {
namespace {

enum class Factor : std::uint8_t { full, channel, pixel };

struct MultiplyCall {
  Factor factor = Factor::full;
  int samples = 1, pixels = 1, channels = 1;

  int rows() const { return samples * pixels; }
};

/// Position of the factor of channel `c` in row `row`, a pixel of a sample.
__device__ __forceinline__ std::int64_t factor_at(const MultiplyCall& call, int row, int c) {
  if (call.factor == Factor::pixel) return row;
  const int at = call.factor == Factor::channel ? row / call.pixels : row;
  return static_cast<std::int64_t>(at) * call.channels + c;
}

/// y = x * f: forward, and the gradient of the first factor with dy in x's place.
template <class T>
__global__ void multiply_kernel(const T* x, const T* f, T* y, MultiplyCall call, int rows) {
  const int row = launch_row(), c = launch_column();
  if (row >= rows || c >= call.channels) return;
  const std::int64_t at = static_cast<std::int64_t>(row) * call.channels + c;
  y[at] = from_float<T>(to_float(x[at]) * to_float(f[factor_at(call, row, c)]));
}

template <class T, int V>
struct ProductTerm {
  static constexpr int kSums = 1;
  const T* x;
  const T* dy;

  __device__ void begin(int, int) {}
  __device__ void add(std::int64_t at, float (&sums)[1][V]) const {
    const Pack<T, V> px = load_pack<T, V>(x + at), pdy = load_pack<T, V>(dy + at);
#pragma unroll
    for (int v = 0; v < V; ++v) sums[0][v] += to_float(px.v[v]) * to_float(pdy.v[v]);
  }
};

template <class T>
__global__ void product_total_kernel(ColumnShape shape, const float* partial, T* df) {
  const int group = blockIdx.y, channel = total_channel();
  const double sum = column_total(partial, shape, group);
  if (threadIdx.y != 0 || channel >= shape.channels) return;
  df[group * shape.channels + channel] = from_float<T>(static_cast<float>(sum));
}

/// One warp for each row: df[row] = sum over channels of x * dy.
template <class T>
__global__ void pixel_gradient_kernel(const T* x, const T* dy, T* df, int rows, int channels) {
  const int row = blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  const std::int64_t at = static_cast<std::int64_t>(row) * channels;
  float sum = 0.0f;
  for (int c = threadIdx.x % kWarp; c < channels; c += kWarp) {
    sum += to_float(x[at + c]) * to_float(dy[at + c]);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) df[row] = from_float<T>(sum);
}

template <class T>
void launch_multiply(const Context& context, const MultiplyCall& call, const T* x, const T* f,
                     T* y) {
  const RowLaunch launch = row_launch(call.rows(), call.channels);
  multiply_kernel<T>
      <<<launch.grid, launch.block, 0, context.stream()>>>(x, f, y, call, call.rows());
  check_launch("multiply kernel");
}

template <class T>
void channel_gradient(const Context& context, const MultiplyCall& call, const T* x, const T* dy,
                      T* df, float* partial) {
  const ColumnShape shape = column_shape(call.samples, call.pixels, call.channels);
  dispatch_pack<T>(call.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const ColumnLaunch launch = column_launch(shape, V);
    column_sums_kernel<V><<<launch.grid, launch.block, 0, context.stream()>>>(
        ProductTerm<T, V>{x, dy}, shape, partial);
    check_launch("multiply gradient kernel");
  });
  const ColumnLaunch total = total_launch(shape.channels, shape.groups);
  product_total_kernel<T><<<total.grid, total.block, 0, context.stream()>>>(shape, partial, df);
  check_launch("multiply gradient kernel");
}

template <class T>
void backward(const Context& context, const MultiplyCall& call, const Bindings& b) {
  const T *x = as<const T>(b.x[0]), *f = as<const T>(b.x[1]), *dy = as<const T>(b.dy);
  if (T* dx = entry<T>(b.dx, 0)) launch_multiply<T>(context, call, dy, f, dx);
  T* df = entry<T>(b.dx, 1);
  if (df == nullptr) return;
  if (call.factor == Factor::full) return launch_multiply<T>(context, call, dy, x, df);
  if (call.factor == Factor::channel) {
    return channel_gradient<T>(context, call, x, dy, df, as<float>(b.workspace));
  }
  constexpr int kWarps = kThreads / kWarp;
  pixel_gradient_kernel<T><<<(call.rows() + kWarps - 1) / kWarps, kThreads, 0, context.stream()>>>(
      x, dy, df, call.rows(), call.channels);
  check_launch("multiply gradient kernel");
}

}  // namespace

Offers multiply_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const Shape &x = query.inputs[0].shape, &f = query.inputs[1].shape;
  if (!float_types(query, reason) || !rows_fit(x, reason)) return {};
  MultiplyCall call;
  call.samples = x.n, call.pixels = x.spatial(), call.channels = x.c;
  if (f != x) call.factor = f.spatial() == 1 && f.c == x.c ? Factor::channel : Factor::pixel;
  if (call.factor == Factor::channel && (x.n > 65535 || std::int64_t{x.n} * x.c > (1 << 30))) {
    refuse(reason, "more than 65535 samples, or 2^30 factors");
    return {};
  }
  KernelOffer offer = nhwc_offer(query, "own:multiply");
  const DType dtype = query.inputs[0].dtype;
  for (TensorDesc& input : offer.inputs) input = make_desc(input.shape, dtype, kNhwc);
  offer.output = make_desc(query.output.shape, dtype, kNhwc);
  const bool forward = query.pass == Pass::forward;
  if (!forward) {
    offer.reads = {.inputs = true};
    if (call.factor == Factor::channel) {
      offer.workspace_bytes =
          static_cast<std::size_t>(column_shape(x.n, x.spatial(), x.c).partials()) * sizeof(float);
    }
  }
  offer.make = [&context, call, forward, dtype, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if (!forward) return backward<T>(context, call, b);
        launch_multiply<T>(context, call, as<const T>(b.x[0]), as<const T>(b.x[1]), as<T>(b.y));
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
