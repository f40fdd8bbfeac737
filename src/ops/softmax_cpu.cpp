#include "ops/softmax.h"

#include <algorithm>

#include "backend/cpu/kernel.h"
#include "backend/cpu/softmax_rows.h"
#include "core/parallel.h"

// Plain tensors: the channels of up to 64 neighbouring pixels at a time, pixels side by side in
// registers. NHWC and single pixels: a pixel's channels lie side by side already. Blocked tensors
// are asked for as NHWC.

namespace daybreak {
namespace {

struct Job {
  std::int64_t pixels = 1, channels = 1;  // plain: pixels of a sample; rows: 1
  const float* x = nullptr;               // or y
  const float* dy = nullptr;
  float* y = nullptr;  // or dx
};

constexpr int kStrip = 64;

// Pixels [q, q + count) of one plain sample, at most kStrip.
DAYBREAK_INLINE void strip_forward(const Job& job, const float* x, float* y, int count) {
  float most[kStrip], sum[kStrip] = {};
  for (int l = 0; l < count; ++l) most[l] = x[l];
  for (std::int64_t c = 1; c < job.channels; ++c) {
    const float* row = x + c * job.pixels;
#pragma omp simd
    for (int l = 0; l < count; ++l) most[l] = row[l] > most[l] ? row[l] : most[l];
  }
  for (std::int64_t c = 0; c < job.channels; ++c) {
    const float* row = x + c * job.pixels;
    float* out = y + c * job.pixels;
#pragma omp simd
    for (int l = 0; l < count; ++l) {
      out[l] = exp_negative(row[l] - most[l]);
      sum[l] += out[l];
    }
  }
  for (std::int64_t c = 0; c < job.channels; ++c) {
    float* out = y + c * job.pixels;
#pragma omp simd
    for (int l = 0; l < count; ++l) out[l] /= sum[l];
  }
}

DAYBREAK_INLINE void strip_backward(const Job& job, const float* y, const float* dy, float* dx,
                                    int count) {
  float dot[kStrip] = {};
  for (std::int64_t c = 0; c < job.channels; ++c) {
    const std::int64_t at = c * job.pixels;
#pragma omp simd
    for (int l = 0; l < count; ++l) dot[l] += y[at + l] * dy[at + l];
  }
  for (std::int64_t c = 0; c < job.channels; ++c) {
    const std::int64_t at = c * job.pixels;
#pragma omp simd
    for (int l = 0; l < count; ++l) dx[at + l] = y[at + l] * (dy[at + l] - dot[l]);
  }
}

// Tasks are strips of pixels, or rows of channels when pixels == 1.
DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  const std::int64_t strips = (job.pixels + kStrip - 1) / kStrip;
  for (std::int64_t i = begin; i < end; ++i) {
    if (job.pixels == 1) {
      softmax_row(job.x + i * job.channels, job.y + i * job.channels, job.channels);
      continue;
    }
    const std::int64_t q = i % strips * kStrip;
    const std::int64_t at = i / strips * job.channels * job.pixels + q;
    const int count = static_cast<int>(std::min<std::int64_t>(kStrip, job.pixels - q));
    strip_forward(job, job.x + at, job.y + at, count);
  }
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  const std::int64_t strips = (job.pixels + kStrip - 1) / kStrip;
  for (std::int64_t i = begin; i < end; ++i) {
    if (job.pixels == 1) {
      const std::int64_t at = i * job.channels;
      softmax_row_gradient(job.x + at, job.dy + at, job.y + at, job.channels);
      continue;
    }
    const std::int64_t q = i % strips * kStrip;
    const std::int64_t at = i / strips * job.channels * job.pixels + q;
    const int count = static_cast<int>(std::min<std::int64_t>(kStrip, job.pixels - q));
    strip_backward(job, job.x + at, job.dy + at, job.y + at, count);
  }
}

}  // namespace

CpuOffers softmax_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Shape shape = query.output.shape;
  const Layout layout = own_layout(query) == kNchw ? kNchw : kNhwc;
  const bool rows = layout == kNhwc || shape.spatial() == 1;
  Job plain;
  plain.channels = shape.c;
  plain.pixels = rows ? 1 : shape.spatial();
  const std::int64_t samples = rows ? std::int64_t{shape.n} * shape.spatial() : shape.n;
  const std::int64_t tasks = samples * ((plain.pixels + kStrip - 1) / kStrip);
  const std::int64_t grain =
      std::max<std::int64_t>(1, kGrain / 4 / (plain.channels * (rows ? 1 : kStrip)));
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "softmax", layout, [=](const Bindings& b) {
    Job job = plain;
    job.x = is_forward ? as(b.x[0]) : as(b.y);
    job.dy = as(b.dy);
    job.y = is_forward ? as(b.y) : entry(b.dx, 0);
    if (!job.y) return;
    parallel_for(tasks, grain, [&](std::int64_t begin, std::int64_t end) {
      if (is_forward) {
        forward_range(job, begin, end);
      } else {
        backward_range(job, begin, end);
      }
    });
  });
  if (!is_forward) offer.reads.output = true;
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
