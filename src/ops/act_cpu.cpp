#include "ops/act.h"

#include "backend/cpu/act_rows.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// One pass over the tensor's memory, padding of blocked layouts included: 8 bytes an element
// forward, 12 backward.

namespace daybreak {
namespace {

DAYBREAK_MULTIARCH void forward_range(const Activation& act, const float* x, float* y,
                                      std::int64_t begin, std::int64_t end) {
  const float slope = act.slope;
  switch (act.kind) {
    case ActKind::none:
      for (std::int64_t i = begin; i < end; ++i) y[i] = x[i];
      break;
    case ActKind::relu:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) y[i] = relu(x[i]);
      break;
    case ActKind::leaky:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
      break;
    case ActKind::sigmoid:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) y[i] = sigmoid(x[i]);
      break;
    case ActKind::tanh:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) y[i] = tanh_f32(x[i]);
      break;
  }
}

DAYBREAK_MULTIARCH void backward_range(const Activation& act, const float* y, const float* dy,
                                       float* dx, std::int64_t begin, std::int64_t end) {
  const float slope = act.slope;
  switch (act.kind) {
    case ActKind::none:
      for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i];
      break;
    case ActKind::relu:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
      break;
    case ActKind::leaky:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) dx[i] = y[i] > 0.0f ? dy[i] : slope * dy[i];
      break;
    case ActKind::sigmoid:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i] * (y[i] * (1.0f - y[i]));
      break;
    case ActKind::tanh:
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i] * (1.0f - y[i] * y[i]);
      break;
  }
}

}  // namespace

CpuOffers act_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Activation act = static_cast<const Act&>(*query.op).act;
  const Layout layout = own_layout(query);
  const TensorDesc desc = context.with_layout(query.output, layout);
  const std::int64_t count = static_cast<std::int64_t>(desc.bytes / sizeof(float));
  const bool is_forward = query.pass == Pass::forward;
  const Planes planes = make_planes(desc.shape, layout, context.block);
  KernelOffer offer = own_offer(context, query, "act", layout, [=](const Bindings& b) {
    float* dx = entry(b.dx, 0);
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      if (is_forward) {
        forward_range(act, as(b.x[0]), as(b.y), begin, end);
      } else if (dx) {
        backward_range(act, as(b.y), as(b.dy), dx, begin, end);
      }
    });
    if (is_forward && act.kind == ActKind::sigmoid) zero_padding(planes, as(b.y));
  });
  if (!is_forward) offer.reads.output = true;
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
