#include "ops/multiply.h"

#include <algorithm>

#include "backend/cpu/kernel.h"
#include "backend/cpu/lanes.h"
#include "core/parallel.h"

// A plane at a time: 12 bytes an element forward. Factors for channels are read once a plane; those
// for pixels are kept plain, where a plane is one channel. Sums of their gradient run over planes
// in order, so results do not depend on the team.

namespace daybreak {
namespace {

enum class Factors : std::uint8_t { same, channel, pixel };

struct Job {
  Planes planes;
  Factors factors = Factors::same;
  std::int64_t factor_stride = 0;  // floats of the factors of one sample
  const float *x = nullptr, *f = nullptr, *dy = nullptr;
  float *y = nullptr, *dx = nullptr, *df = nullptr;
};

DAYBREAK_INLINE std::int64_t factor_at(const Job& job, std::int64_t plane, std::int64_t pixel) {
  const Planes& p = job.planes;
  const std::int64_t n = plane / p.per_sample, k = plane % p.per_sample;
  if (job.factors == Factors::same) return p.offset(plane) + pixel * p.pixel_stride;
  if (job.factors == Factors::channel) return n * job.factor_stride + k * p.lanes;
  return n * job.factor_stride + pixel;
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int count = job.planes.lanes_at(static_cast<int>(i % job.planes.per_sample));
    with_lanes(count, [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      for (std::int64_t q = 0; q < job.planes.pixels; ++q) {
        const std::int64_t at = job.planes.offset(i) + q * job.planes.pixel_stride;
        const float *x = job.x + at, *f = job.f + factor_at(job, i, q);
        float* y = job.y + at;
#pragma omp simd
        for (int l = 0; l < lanes.count(); ++l) y[l] = x[l] * f[l];
      }
    });
  }
}

DAYBREAK_MULTIARCH void data_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int count = job.planes.lanes_at(static_cast<int>(i % job.planes.per_sample));
    with_lanes(count, [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      for (std::int64_t q = 0; q < job.planes.pixels; ++q) {
        const std::int64_t at = job.planes.offset(i) + q * job.planes.pixel_stride;
        const float *dy = job.dy + at, *f = job.f + factor_at(job, i, q);
        float* dx = job.dx + at;
#pragma omp simd
        for (int l = 0; l < lanes.count(); ++l) dx[l] = dy[l] * f[l];
      }
    });
  }
}

// Gradients of factors that belong to one plane: same shape, or one for each channel.
DAYBREAK_MULTIARCH void factor_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int count = job.planes.lanes_at(static_cast<int>(i % job.planes.per_sample));
    with_lanes(count, [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      double sums[16] = {};
      for (std::int64_t q = 0; q < job.planes.pixels; ++q) {
        const std::int64_t at = job.planes.offset(i) + q * job.planes.pixel_stride;
        const float *x = job.x + at, *dy = job.dy + at;
        if (job.factors == Factors::same) {
          for (int l = 0; l < lanes.count(); ++l) job.df[at + l] = dy[l] * x[l];
        } else {
#pragma omp simd
          for (int l = 0; l < lanes.count(); ++l) sums[l] += double{dy[l]} * x[l];
        }
      }
      if (job.factors == Factors::same) return;
      float* df = job.df + factor_at(job, i, 0);
      for (int l = 0; l < lanes.count(); ++l) df[l] = static_cast<float>(sums[l]);
    });
  }
}

// One factor for each pixel of a sample: a sum over its channels, in plain layout.
DAYBREAK_MULTIARCH void pixel_factor_range(const Job& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.planes;
  for (std::int64_t at = begin; at < end; ++at) {
    const std::int64_t n = at / p.pixels, q = at % p.pixels;
    double sum = 0.0;
    for (int c = 0; c < p.per_sample; ++c) {
      const std::int64_t i = p.offset(n, c) + q;
      sum += double{job.dy[i]} * job.x[i];
    }
    job.df[n * job.factor_stride + q] = static_cast<float>(sum);
  }
}

void run_backward(const Job& job) {
  const std::int64_t grain = plane_grain(job.planes, job.planes);
  if (job.dx) {
    parallel_for(job.planes.count(), grain,
                 [&](std::int64_t begin, std::int64_t end) { data_range(job, begin, end); });
  }
  if (!job.df) return;
  if (job.factors == Factors::pixel) {
    parallel_for(
        job.planes.samples * job.planes.pixels, 1024,
        [&](std::int64_t begin, std::int64_t end) { pixel_factor_range(job, begin, end); });
  } else {
    parallel_for(job.planes.count(), grain,
                 [&](std::int64_t begin, std::int64_t end) { factor_range(job, begin, end); });
  }
}

}  // namespace

CpuOffers multiply_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Shape &x = query.inputs[0].shape, &f = query.inputs[1].shape;
  Job job;
  job.factors = x == f                             ? Factors::same
                : (f.spatial() == 1 && f.c == x.c) ? Factors::channel
                                                   : Factors::pixel;
  const Layout layout = job.factors == Factors::pixel ? kNchw : own_layout(query);
  const int lanes = layout == kNchw ? 1 : 16;
  job.planes = make_planes(x, layout, context.block, lanes);
  // Plain tensors of one pixel are cut into strips of `lanes` too, so the two always agree.
  job.factor_stride = make_planes(f, layout, context.block, lanes).sample_stride;
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "multiply", layout, [=](const Bindings& b) {
    Job now = job;
    now.x = as(b.x[0]), now.f = as(b.x[1]);
    if (is_forward) {
      now.y = as(b.y);
      parallel_for(now.planes.count(), plane_grain(now.planes, now.planes),
                   [&](std::int64_t begin, std::int64_t end) { forward_range(now, begin, end); });
      return;
    }
    now.dy = as(b.dy), now.dx = entry(b.dx, 0), now.df = entry(b.dx, 1);
    run_backward(now);
  });
  offer.reads.inputs = !is_forward;
  return {offer};
}

}  // namespace daybreak
