#include "ops/add.h"

#include "backend/cpu/act_rows.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// One pass over memory: three elements read or written forward, two to four backward.

namespace daybreak {
namespace {

template <typename T>
DAYBREAK_INLINE void forward(const Add& op, const T* x0, const T* x1, T* y, std::int64_t begin,
                             std::int64_t end) {
  const float c0 = op.coeff[0], c1 = op.coeff[1];
  const bool leaky = op.act.kind == ActKind::leaky;
  const float slope = op.act.slope;
  if (op.act.kind == ActKind::none) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      put(y[i], c0 * to_float(x0[i]) + c1 * to_float(x1[i]));
    }
    return;
  }
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float sum = c0 * to_float(x0[i]) + c1 * to_float(x1[i]);
    const float negative = leaky ? slope * sum : 0.0f;
    put(y[i], sum < 0.0f ? negative : sum);
  }
}

// dx0 or dx1 may be null; dx0 may be dy. Adding 0 keeps -0 out of the padding.
template <typename T>
DAYBREAK_INLINE void backward(const Add& op, const T* y, const T* dy, T* dx0, T* dx1,
                              std::int64_t begin, std::int64_t end) {
  const float c0 = op.coeff[0], c1 = op.coeff[1];
  const bool has_act = op.act.kind != ActKind::none;
  const float slope = op.act.kind == ActKind::leaky ? op.act.slope : 0.0f;
  const auto gradient = [=](std::int64_t i) __attribute__((always_inline)) {
    const float g = to_float(dy[i]);
    return !has_act || to_float(y[i]) > 0.0f ? g : slope * g;
  };
  if (dx0 && dx1) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient(i);
      put(dx1[i], c1 * g + 0.0f);
      put(dx0[i], c0 * g + 0.0f);
    }
    return;
  }
  T* dx = dx0 ? dx0 : dx1;
  const float c = dx0 ? c0 : c1;
  if (!dx) return;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) put(dx[i], c * gradient(i) + 0.0f);
}

DAYBREAK_MULTIARCH void forward_range(const Add& op, DType dtype, const Bindings& b,
                                      std::int64_t begin, std::int64_t end) {
  with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    using T = decltype(tag);
    forward(op, as<const T>(b.x[0]), as<const T>(b.x[1]), as<T>(b.y), begin, end);
  });
}

DAYBREAK_MULTIARCH void backward_range(const Add& op, DType dtype, const Bindings& b,
                                       std::int64_t begin, std::int64_t end) {
  with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    using T = decltype(tag);
    backward(op, as<const T>(b.y), as<const T>(b.dy), entry<T>(b.dx, 0), entry<T>(b.dx, 1), begin,
             end);
  });
}

}  // namespace

CpuOffers add_cpu_offers(const CpuContext& context, const KernelQuery& query, std::string* reason) {
  const Add op = static_cast<const Add&>(*query.op);
  if (op.act.kind == ActKind::sigmoid || op.act.kind == ActKind::tanh) {
    if (reason) *reason = "a sum can be fused with relu and leaky relu only";
    return {};
  }
  const Layout layout = own_layout(query);
  const TensorDesc desc = context.with_layout(query.output, layout);
  const DType dtype = desc.dtype;
  const std::int64_t count = static_cast<std::int64_t>(desc.bytes / element_size(dtype));
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "add", layout, [=](const Bindings& b) {
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      if (is_forward) {
        forward_range(op, dtype, b, begin, end);
      } else {
        backward_range(op, dtype, b, begin, end);
      }
    });
  });
  if (!is_forward) offer.reads.output = op.act.kind != ActKind::none;
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
