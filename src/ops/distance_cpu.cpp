#include "ops/distance.h"

#include "backend/cpu/kernel.h"
#include "backend/cpu/ordered_sum.h"
#include "backend/cpu/simd.h"

// One pass over both tensors' memory, 16 interleaved sums a chunk. The padding of blocked tensors
// is zero in both and adds nothing.

namespace daybreak {
namespace {

constexpr int kLanes = 16;

template <DistanceKind Kind>
DAYBREAK_INLINE float value(float d, float beta) {
  const float size = d < 0.0f ? -d : d;
  if (Kind == DistanceKind::l1) return size;
  if (Kind == DistanceKind::l2) return d * d;
  return size < beta ? 0.5f * d * d / beta : size - 0.5f * beta;
}

template <DistanceKind Kind>
DAYBREAK_INLINE float derivative(float d, float beta) {
  if (Kind == DistanceKind::l2) return 2.0f * d;
  const float negative = d < 0.0f ? -1.0f : d;  // d itself for 0 and NaN
  const float sign = d > 0.0f ? 1.0f : negative;
  if (Kind == DistanceKind::l1) return sign;
  const float size = d < 0.0f ? -d : d;
  return size < beta ? d / beta : sign;
}

template <DistanceKind Kind>
DAYBREAK_INLINE double sum_of(float beta, const float* x, const float* t, std::int64_t begin,
                              std::int64_t end) {
  double lanes[kLanes] = {};
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) lanes[l] += value<Kind>(x[i + l] - t[i + l], beta);
  }
  for (; i < end; ++i) lanes[i % kLanes] += value<Kind>(x[i] - t[i], beta);
  double sum = 0.0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// dx or dt may be null. Adding 0 keeps -0 out of the padding.
template <DistanceKind Kind>
DAYBREAK_INLINE void gradient_of(float beta, float scale, const float* x, const float* t, float* dx,
                                 float* dt, std::int64_t begin, std::int64_t end) {
  if (dx && dt) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = scale * derivative<Kind>(x[i] - t[i], beta) + 0.0f;
      dx[i] = g;
      dt[i] = 0.0f - g;
    }
    return;
  }
  float* out = dx ? dx : dt;
  const float signed_scale = dx ? scale : -scale;
  if (!out) return;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    out[i] = signed_scale * derivative<Kind>(x[i] - t[i], beta) + 0.0f;
  }
}

DAYBREAK_MULTIARCH double sum_range(const Distance& op, const float* x, const float* t,
                                    std::int64_t begin, std::int64_t end) {
  switch (op.distance) {
    case DistanceKind::l1:
      return sum_of<DistanceKind::l1>(op.beta, x, t, begin, end);
    case DistanceKind::l2:
      return sum_of<DistanceKind::l2>(op.beta, x, t, begin, end);
    case DistanceKind::smooth_l1:
      return sum_of<DistanceKind::smooth_l1>(op.beta, x, t, begin, end);
  }
  return 0.0;
}

DAYBREAK_MULTIARCH void gradient_range(const Distance& op, float scale, const float* x,
                                       const float* t, float* dx, float* dt, std::int64_t begin,
                                       std::int64_t end) {
  switch (op.distance) {
    case DistanceKind::l1:
      return gradient_of<DistanceKind::l1>(op.beta, scale, x, t, dx, dt, begin, end);
    case DistanceKind::l2:
      return gradient_of<DistanceKind::l2>(op.beta, scale, x, t, dx, dt, begin, end);
    case DistanceKind::smooth_l1:
      return gradient_of<DistanceKind::smooth_l1>(op.beta, scale, x, t, dx, dt, begin, end);
  }
}

}  // namespace

CpuOffers distance_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Distance op = static_cast<const Distance&>(*query.op);
  const Layout first = query.inputs[0].layout;
  const Layout layout = first.id <= kBlocked.id ? first : kNhwc;
  const double count = static_cast<double>(query.inputs[0].shape.count());
  const std::int64_t stored =
      static_cast<std::int64_t>(context.with_layout(query.inputs[0], layout).bytes / sizeof(float));
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "distance", layout, [=](const Bindings& b) {
    const float* x = as(b.x[0]);
    const float* t = as(b.x[1]);
    if (is_forward) {
      const double sum = ordered_sum_of(
          stored, as<double>(b.workspace),
          [=](std::int64_t begin, std::int64_t end) { return sum_range(op, x, t, begin, end); });
      *as(b.y) = static_cast<float>(sum / count);
      return;
    }
    const float scale = static_cast<float>(*as(b.dy) / count);
    parallel_for(stored, kGrain, [&](std::int64_t begin, std::int64_t end) {
      gradient_range(op, scale, x, t, entry(b.dx, 0), entry(b.dx, 1), begin, end);
    });
  });
  offer.output = plain_desc(query.output.shape, query.output.dtype);
  if (is_forward) {
    offer.workspace_bytes = static_cast<std::size_t>(sum_chunks(stored)) * sizeof(double);
  } else {
    offer.reads.inputs = true;
  }
  return {offer};
}

}  // namespace daybreak
