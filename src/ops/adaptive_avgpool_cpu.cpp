#include "ops/adaptive_avgpool.h"

#include "backend/cpu/kernel.h"
#include "backend/cpu/lanes.h"
#include "core/parallel.h"

// A plane at a time, the lanes of a pixel in a register: every pixel is read once per window it
// lies in (windows overlap by a pixel where the extents do not divide).

namespace daybreak {
namespace {

struct Job {
  Planes in, out;
  DType dtype = DType::f32;  // of x and y
  std::byte* x = nullptr;    // or dy
  std::byte* y = nullptr;    // or dx
};

struct Window {
  std::int64_t h0, h1, w0, w1;
  DAYBREAK_INLINE float area() const { return static_cast<float>((h1 - h0) * (w1 - w0)); }
};

DAYBREAK_INLINE Window window(const Job& job, std::int64_t oh, std::int64_t ow) {
  const std::int64_t h = job.in.height, w = job.in.width, rows = job.out.height,
                     columns = job.out.width;
  return {oh * h / rows, ((oh + 1) * h + rows - 1) / rows, ow * w / columns,
          ((ow + 1) * w + columns - 1) / columns};
}

template <int W, typename T>
DAYBREAK_INLINE void forward_window(Lanes<W> lanes, const Job& job, const Window& win, const T* x,
                                    T* y) {
  float sum[Lanes<W>::kMost] = {};
  for (std::int64_t h = win.h0; h < win.h1; ++h) {
    for (std::int64_t w = win.w0; w < win.w1; ++w) {
      add_lanes(lanes, 1.0f, x + (h * job.in.width + w) * job.in.pixel_stride, sum);
    }
  }
  const float area = win.area();
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) put(y[l], sum[l] / area);
}

template <int W, typename T>
DAYBREAK_INLINE void backward_window(Lanes<W> lanes, const Job& job, const Window& win, const T* dy,
                                     T* dx) {
  float share[Lanes<W>::kMost];
  const float area = win.area();
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) share[l] = to_float(dy[l]) / area;
  for (std::int64_t h = win.h0; h < win.h1; ++h) {
    for (std::int64_t w = win.w0; w < win.w1; ++w) {
      add_lanes(lanes, 1.0f, share, dx + (h * job.in.width + w) * job.in.pixel_stride);
    }
  }
}

template <bool Forward, typename T>
DAYBREAK_INLINE void planes(const Job& job, std::int64_t begin, std::int64_t end) {
  const T* x = reinterpret_cast<const T*>(job.x);
  T* y = reinterpret_cast<T*>(job.y);
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t in = job.in.offset(i), out = job.out.offset(i);
    const int count = job.in.lanes_at(static_cast<int>(i % job.in.per_sample));
    with_lanes(count, [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      if (!Forward) clear_plane(lanes, job.in, y + in);
      for (int oh = 0; oh < job.out.height; ++oh) {
        for (int ow = 0; ow < job.out.width; ++ow) {
          const std::int64_t at =
              out + (std::int64_t{oh} * job.out.width + ow) * job.out.pixel_stride;
          if (Forward) {
            forward_window(lanes, job, window(job, oh, ow), x + in, y + at);
          } else {
            backward_window(lanes, job, window(job, oh, ow), x + at, y + in);
          }
        }
      }
    });
  }
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    planes<true, decltype(tag)>(job, begin, end);
  });
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    planes<false, decltype(tag)>(job, begin, end);
  });
}

}  // namespace

CpuOffers adaptive_avgpool_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Layout layout = own_layout(query);
  const PlanePair pair =
      make_plane_pair(query.inputs[0].shape, query.output.shape, layout, context.block);
  const bool is_forward = query.pass == Pass::forward;
  const DType dtype = query.inputs[0].dtype;
  // Where windows overlap gradients are sums, which would be rounded after every term.
  const bool overlap = pair.in.height % pair.out.height != 0 || pair.in.width % pair.out.width != 0;
  if (!is_forward && overlap && dtype != DType::f32) return {};
  return {own_offer(context, query, "adaptive_avgpool", layout, [=](const Bindings& b) {
    Job job{pair.in, pair.out, dtype};
    job.x = is_forward ? b.x[0] : b.dy;
    job.y = is_forward ? b.y : entry<std::byte>(b.dx, 0);
    if (!job.y) return;
    parallel_for(job.in.count(), plane_grain(job.in, job.out),
                 [&](std::int64_t begin, std::int64_t end) {
                   if (is_forward) {
                     forward_range(job, begin, end);
                   } else {
                     backward_range(job, begin, end);
                   }
                 });
  })};
}

}  // namespace daybreak
