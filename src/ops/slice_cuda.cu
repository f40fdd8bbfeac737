// A stretch of channels, channels last. Backward writes all of dx: zeros around the stretch.

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/slice.h"

namespace daybreak::cuda {
namespace {

template <class T>
__global__ void slice_kernel(const T* x, T* y, int rows, int channels, int begin, int count) {
  const int row = launch_row(), c = launch_column();
  if (row >= rows || c >= count) return;
  y[static_cast<std::int64_t>(row) * count + c] =
      x[static_cast<std::int64_t>(row) * channels + begin + c];
}

template <class T>
__global__ void slice_backward_kernel(const T* dy, T* dx, int rows, int channels, int begin,
                                      int count) {
  const int row = launch_row(), c = launch_column();
  if (row >= rows || c >= channels) return;
  const int from = c - begin;
  const bool inside = from >= 0 && from < count;
  dx[static_cast<std::int64_t>(row) * channels + c] =
      inside ? dy[static_cast<std::int64_t>(row) * count + from] : from_float<T>(0.0f);
}

}  // namespace

Offers slice_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const Shape &x = query.inputs[0].shape, &y = query.output.shape;
  if (!float_types(query, reason) || !rows_fit(x, reason)) return {};
  KernelOffer offer = nhwc_offer(query, "own:slice");
  const DType dtype = query.inputs[0].dtype;
  offer.output = make_desc(y, dtype, kNhwc);
  offer.make = [&context, rows = x.n * x.spatial(), channels = x.c, count = y.c,
                begin = static_cast<const Slice&>(*query.op).begin, dtype,
                forward = query.pass == Pass::forward, name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        const RowLaunch launch = row_launch(rows, forward ? count : channels);
        if (forward) {
          slice_kernel<T><<<launch.grid, launch.block, 0, context.stream()>>>(
              as<const T>(b.x[0]), as<T>(b.y), rows, channels, begin, count);
        } else if (T* dx = entry<T>(b.dx, 0)) {
          slice_backward_kernel<T><<<launch.grid, launch.block, 0, context.stream()>>>(
              as<const T>(b.dy), dx, rows, channels, begin, count);
        }
        check_launch("slice kernel");
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
