#include "ops/bce.h"

#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ordered_sum.h"
#include "backend/cpu/simd.h"

// One pass over both tensors in a layout without padding, whose zeros would add ln 2 each. The loss
// is summed in double: log1p(exp(-|x|)) is not vectorised.

namespace daybreak {
namespace {

DAYBREAK_MULTIARCH double sum_range(const float* x, const float* t, std::int64_t begin,
                                    std::int64_t end) {
  double sum = 0.0;
  for (std::int64_t i = begin; i < end; ++i) {
    const double z = x[i];
    const double positive = z < 0.0 ? 0.0 : z;
    sum += positive - z * t[i] + std::log1p(std::exp(-std::abs(z)));
  }
  return sum;
}

DAYBREAK_MULTIARCH void gradient_range(float scale, const float* x, const float* t, float* dx,
                                       std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) dx[i] = scale * (sigmoid(x[i]) - t[i]);
}

}  // namespace

CpuOffers bce_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const std::int64_t count = query.inputs[0].shape.count();
  const Layout layout = query.inputs[0].layout == kNchw ? kNchw : kNhwc;
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "bce", layout, [=](const Bindings& b) {
    const float* x = as(b.x[0]);
    const float* t = as(b.x[1]);
    if (is_forward) {
      const double sum = ordered_sum_of(
          count, as<double>(b.workspace),
          [=](std::int64_t begin, std::int64_t end) { return sum_range(x, t, begin, end); });
      *as(b.y) = static_cast<float>(sum / static_cast<double>(count));
      return;
    }
    float* dx = entry(b.dx, 0);
    const float scale = static_cast<float>(*as(b.dy) / static_cast<double>(count));
    if (!dx) return;
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      gradient_range(scale, x, t, dx, begin, end);
    });
  });
  offer.output = plain_desc(query.output.shape, query.output.dtype);
  if (is_forward) {
    offer.workspace_bytes = static_cast<std::size_t>(sum_chunks(count)) * sizeof(double);
  } else {
    offer.reads.inputs = true;
  }
  return {offer};
}

}  // namespace daybreak
