#include "ops/act.h"

#include "backend/cpu/act_rows.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// One pass over the tensor's memory, padding of blocked layouts included: two elements read or
// written forward, three backward.

namespace daybreak {
namespace {

template <typename T, typename Function>
DAYBREAK_INLINE void map(const T* x, T* y, std::int64_t begin, std::int64_t end, Function f) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) put(y[i], f(to_float(x[i])));
}

template <typename T, typename Function>
DAYBREAK_INLINE void map(const T* y, const T* dy, T* dx, std::int64_t begin, std::int64_t end,
                         Function f) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) put(dx[i], f(to_float(y[i]), to_float(dy[i])));
}

template <typename T>
DAYBREAK_INLINE void forward(const Activation& act, const T* x, T* y, std::int64_t begin,
                             std::int64_t end) {
  const float slope = act.slope;
  switch (act.kind) {
    case ActKind::none:
      return map(x, y, begin, end, [](float v) DAYBREAK_INLINE_LAMBDA { return v; });
    case ActKind::relu:
      return map(x, y, begin, end, [](float v) DAYBREAK_INLINE_LAMBDA { return relu(v); });
    case ActKind::leaky:
      return map(x, y, begin, end,
                 [=](float v) DAYBREAK_INLINE_LAMBDA { return v > 0.0f ? v : slope * v; });
    case ActKind::sigmoid:
      return map(x, y, begin, end, [](float v) DAYBREAK_INLINE_LAMBDA { return sigmoid(v); });
    case ActKind::tanh:
      return map(x, y, begin, end, [](float v) DAYBREAK_INLINE_LAMBDA { return tanh_f32(v); });
  }
}

template <typename T>
DAYBREAK_INLINE void backward(const Activation& act, const T* y, const T* dy, T* dx,
                              std::int64_t begin, std::int64_t end) {
  const float slope = act.slope;
  switch (act.kind) {
    case ActKind::none:
      return map(dy, dx, begin, end, [](float g) DAYBREAK_INLINE_LAMBDA { return g; });
    case ActKind::relu:
      return map(y, dy, dx, begin, end,
                 [](float v, float g) DAYBREAK_INLINE_LAMBDA { return v > 0.0f ? g : 0.0f; });
    case ActKind::leaky:
      return map(y, dy, dx, begin, end,
                 [=](float v, float g) DAYBREAK_INLINE_LAMBDA { return v > 0.0f ? g : slope * g; });
    case ActKind::sigmoid:
      return map(y, dy, dx, begin, end,
                 [](float v, float g) DAYBREAK_INLINE_LAMBDA { return g * (v * (1.0f - v)); });
    case ActKind::tanh:
      return map(y, dy, dx, begin, end,
                 [](float v, float g) DAYBREAK_INLINE_LAMBDA { return g * (1.0f - v * v); });
  }
}

DAYBREAK_MULTIARCH void forward_range(const Activation& act, DType dtype, const Bindings& b,
                                      std::int64_t begin, std::int64_t end) {
  with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    using T = decltype(tag);
    forward(act, as<const T>(b.x[0]), as<T>(b.y), begin, end);
  });
}

DAYBREAK_MULTIARCH void backward_range(const Activation& act, DType dtype, const Bindings& b,
                                       std::int64_t begin, std::int64_t end) {
  with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    using T = decltype(tag);
    backward(act, as<const T>(b.y), as<const T>(b.dy), as<T>(b.dx[0]), begin, end);
  });
}

}  // namespace

CpuOffers act_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Activation act = static_cast<const Act&>(*query.op).act;
  const Layout layout = own_layout(query);
  const TensorDesc desc = context.with_layout(query.output, layout);
  const DType dtype = desc.dtype;
  const std::int64_t count = static_cast<std::int64_t>(desc.bytes / element_size(dtype));
  const bool is_forward = query.pass == Pass::forward;
  const Planes planes = make_planes(desc.shape, layout, context.block);
  KernelOffer offer = own_offer(context, query, "act", layout, [=](const Bindings& b) {
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      if (is_forward) {
        forward_range(act, dtype, b, begin, end);
      } else if (entry<std::byte>(b.dx, 0)) {
        backward_range(act, dtype, b, begin, end);
      }
    });
    if (is_forward && act.kind == ActKind::sigmoid) {
      zero_padding(planes, dtype, b.y);
    }
  });
  if (!is_forward) offer.reads.output = true;
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
