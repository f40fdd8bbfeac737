// Upsampling and borders, channels last: one thread per written pixel and channel pack, gathering
// in both directions, so every sum has a fixed order.

#include "backend/cuda/device.cuh"
#include "backend/cuda/index.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/pad.h"
#include "ops/upsample.h"

namespace daybreak::cuda {
namespace {

/// Height and width of x and y of a resampling; rows are pixels of all samples.
struct Extents {
  int n, channels;
  int in_h, in_w, out_h, out_w;

  __device__ std::int64_t in_at(int sample, int h, int w, int c) const {
    return ((static_cast<std::int64_t>(sample) * in_h + h) * in_w + w) * channels + c;
  }
  __device__ std::int64_t out_at(int sample, int h, int w, int c) const {
    return ((static_cast<std::int64_t>(sample) * out_h + h) * out_w + w) * channels + c;
  }
};

template <class T, int V>
__device__ __forceinline__ void add_pack(float (&sum)[V], const T* from, float weight) {
  const Pack<T, V> pack = load_pack<T, V>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) sum[v] += weight * to_float(pack.v[v]);
}

template <class T, int V>
__device__ __forceinline__ void store_sum(T* to, const float (&sum)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.v[v] = from_float<T>(sum[v]);
  store_pack(to, pack);
}

struct NearestMap {
  int scale;
  template <class T, int V>
  __device__ void forward(const T* x, const Extents& e, int n, int h, int w, int c,
                          float (&sum)[V]) const {
    add_pack<T, V>(sum, x + e.in_at(n, h / scale, w / scale, c), 1.0f);
  }
  template <class T, int V>
  __device__ void backward(const T* dy, const Extents& e, int n, int h, int w, int c,
                           float (&sum)[V]) const {
    for (int i = 0; i < scale; ++i) {
      for (int j = 0; j < scale; ++j) {
        add_pack<T, V>(sum, dy + e.out_at(n, h * scale + i, w * scale + j, c), 1.0f);
      }
    }
  }
};

struct BilinearMap {
  int scale;
  template <class T, int V>
  __device__ void forward(const T* x, const Extents& e, int n, int h, int w, int c,
                          float (&sum)[V]) const {
    const LinearTap th = linear_tap(e.in_h, scale, h), tw = linear_tap(e.in_w, scale, w);
    add_pack<T, V>(sum, x + e.in_at(n, th.low, tw.low, c),
                   (1.0f - th.fraction) * (1.0f - tw.fraction));
    add_pack<T, V>(sum, x + e.in_at(n, th.low, tw.high, c), (1.0f - th.fraction) * tw.fraction);
    add_pack<T, V>(sum, x + e.in_at(n, th.high, tw.low, c), th.fraction * (1.0f - tw.fraction));
    add_pack<T, V>(sum, x + e.in_at(n, th.high, tw.high, c), th.fraction * tw.fraction);
  }
  template <class T, int V>
  __device__ void backward(const T* dy, const Extents& e, int n, int h, int w, int c,
                           float (&sum)[V]) const {
    const Span oh = linear_outputs(e.in_h, scale, h), ow = linear_outputs(e.in_w, scale, w);
    for (int i = oh.begin; i < oh.end; ++i) {
      const float wh = linear_weight(e.in_h, scale, i, h);
      if (wh == 0.0f) continue;
      for (int j = ow.begin; j < ow.end; ++j) {
        const float ww = linear_weight(e.in_w, scale, j, w);
        if (ww != 0.0f) add_pack<T, V>(sum, dy + e.out_at(n, i, j, c), wh * ww);
      }
    }
  }
};

struct PadMap {
  PadAxis h_axis, w_axis;
  template <class T, int V>
  __device__ void forward(const T* x, const Extents& e, int n, int h, int w, int c,
                          float (&sum)[V]) const {
    const int from_h = pad_source(h_axis, h), from_w = pad_source(w_axis, w);
    if (from_h < 0 || from_w < 0) return;
    add_pack<T, V>(sum, x + e.in_at(n, from_h, from_w, c), 1.0f);
  }
  template <class T, int V>
  __device__ void backward(const T* dy, const Extents& e, int n, int h, int w, int c,
                           float (&sum)[V]) const {
    const PadTargets th = pad_targets(h_axis, h), tw = pad_targets(w_axis, w);
    for (int i = 0; i < th.count; ++i) {
      for (int j = 0; j < tw.count; ++j) {
        add_pack<T, V>(sum, dy + e.out_at(n, th.at[i], tw.at[j], c), 1.0f);
      }
    }
  }
};

template <class T, int V, class Map>
__global__ void resample_kernel(Map map, const T* x, T* y, Extents e) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= e.n * e.out_h * e.out_w || c >= e.channels) return;
  const int w = row % e.out_w, h = row / e.out_w % e.out_h, n = row / e.out_w / e.out_h;
  float sum[V] = {};
  map.template forward<T, V>(x, e, n, h, w, c, sum);
  store_sum<T, V>(y + e.out_at(n, h, w, c), sum);
}

template <class T, int V, class Map>
__global__ void resample_backward_kernel(Map map, const T* dy, T* dx, Extents e) {
  const int row = launch_row(), c = launch_column() * V;
  if (row >= e.n * e.in_h * e.in_w || c >= e.channels) return;
  const int w = row % e.in_w, h = row / e.in_w % e.in_h, n = row / e.in_w / e.in_h;
  float sum[V] = {};
  map.template backward<T, V>(dy, e, n, h, w, c, sum);
  store_sum<T, V>(dx + e.in_at(n, h, w, c), sum);
}

template <class T, class Map>
void run_resample(const Context& context, const Map& map, const Extents& e, bool forward,
                  const Bindings& b) {
  if (!forward && entry<T>(b.dx, 0) == nullptr) return;
  dispatch_pack<T>(e.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const int rows = forward ? e.n * e.out_h * e.out_w : e.n * e.in_h * e.in_w;
    const RowLaunch launch = row_launch(rows, e.channels / V);
    if (forward) {
      resample_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
          map, as<const T>(b.x[0]), as<T>(b.y), e);
    } else {
      resample_backward_kernel<T, V><<<launch.grid, launch.block, 0, context.stream()>>>(
          map, as<const T>(b.dy), as<T>(b.dx[0]), e);
    }
    check_launch("resampling kernel");
  });
}

template <class Map>
Offers resample_offers(Context& context, const KernelQuery& query, std::string* reason,
                       const char* kernel, const Map& map) {
  const Shape &x = query.inputs[0].shape, &y = query.output.shape;
  if (!float_types(query, reason) || !rows_fit(x, reason) || !rows_fit(y, reason)) return {};
  KernelOffer offer = nhwc_offer(query, kernel);
  const DType dtype = offer.inputs[0].dtype;
  offer.output = make_desc(y, dtype, kNhwc);
  const Extents e{x.n, x.c, x.h, x.w, y.h, y.w};
  offer.make = [&context, map, e, dtype, forward = query.pass == Pass::forward,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        run_resample<typename decltype(tag)::type>(context, map, e, forward, b);
      });
    });
  };
  return {offer};
}

}  // namespace

Offers upsample_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const auto& op = static_cast<const Upsample&>(*query.op);
  if (op.upsample == UpsampleKind::nearest) {
    return resample_offers(context, query, reason, "own:upsample", NearestMap{op.scale});
  }
  return resample_offers(context, query, reason, "own:upsample", BilinearMap{op.scale});
}

Offers pad_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const auto& op = static_cast<const Pad&>(*query.op);
  const Shape& x = query.inputs[0].shape;
  return resample_offers(
      context, query, reason, "own:pad",
      PadMap{{x.h, op.top, op.bottom, op.pad}, {x.w, op.left, op.right, op.pad}});
}

}  // namespace daybreak::cuda
