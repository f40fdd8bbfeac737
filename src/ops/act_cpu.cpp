#include "ops/act.h"

#include "backend/cpu/act_rows.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// One pass over the tensor's memory, padding of blocked layouts included: 8 bytes an element
// forward, 12 backward.

namespace daybreak {
namespace {

constexpr float kScale = 1.0507009873554805f;
constexpr float kScaleAlpha = 1.0507009873554805f * 1.6732632423543772f;
constexpr float kGeluA = 0.7978845608028654f, kGeluB = 0.035677408136300125f;

/// exp(x) - 1 for x <= 0: a series near 0, where the difference would lose digits.
DAYBREAK_INLINE float expm1_negative(float x) {
  const float series =
      x * (1.0f + x * (0.5f + x * (1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120)))));
  return x > -0.1f ? series : exp_negative(x) - 1.0f;
}

/// tanh(log(1 + exp(x))), which is n / (n + 2) with n = exp(x) (exp(x) + 2); from exp(-|x|).
DAYBREAK_INLINE float tanh_softplus(float x) {
  const float e = exp_negative(x < 0.0f ? x : -x);
  const float n = x < 0.0f ? e * (e + 2.0f) : 1.0f + 2.0f * e;
  const float d = x < 0.0f ? n + 2.0f : n + 2.0f * e * e;
  return n / d;
}

DAYBREAK_INLINE float gelu_inner(float x) {
  return x * (kGeluA + kGeluB * x * x);
}

DAYBREAK_INLINE float one_minus_square(float t) {
  return (1.0f - t) * (1.0f + t);
}

DAYBREAK_INLINE float floor_f32(float x) {
  return __builtin_floorf(x);
}

DAYBREAK_INLINE float stair(float x) {
  const float n = floor_f32(x), half = floor_f32(0.5f * x);
  return 2.0f * half == n ? half : x - n + half;
}

template <typename F>
DAYBREAK_INLINE void map_forward(const float* x, float* y, std::int64_t begin, std::int64_t end,
                                 F f) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
}

/// `v` is the output, or the input where needs_input().
template <typename F>
DAYBREAK_INLINE void map_backward(const float* v, const float* dy, float* dx, std::int64_t begin,
                                  std::int64_t end, F f) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i] * f(v[i]);
}

DAYBREAK_MULTIARCH void forward_range(const Activation& act, const float* x, float* y,
                                      std::int64_t begin, std::int64_t end) {
  const float slope = act.slope;
#define DAYBREAK_MAP(KIND, EXPRESSION) \
  case ActKind::KIND:                  \
    return map_forward(                \
        x, y, begin, end, [=](float a) __attribute__((always_inline)) { return EXPRESSION; })
  switch (act.kind) {
    DAYBREAK_MAP(none, a);
    DAYBREAK_MAP(relu, relu(a));
    DAYBREAK_MAP(leaky, a > 0.0f ? a : slope * a);
    DAYBREAK_MAP(sigmoid, sigmoid(a));
    DAYBREAK_MAP(tanh, tanh_f32(a));
    DAYBREAK_MAP(relu6, a < 0.0f ? 0.0f : (a > 6.0f ? 6.0f : a));
    DAYBREAK_MAP(elu, a > 0.0f ? a : expm1_negative(a));
    DAYBREAK_MAP(selu, a > 0.0f ? kScale * a : kScaleAlpha * expm1_negative(a));
    DAYBREAK_MAP(swish, a * sigmoid(a));
    DAYBREAK_MAP(mish, a * tanh_softplus(a));
    DAYBREAK_MAP(hard_mish, a > 0.0f ? a : (a > -2.0f ? a * (0.5f * a + 1.0f) : 0.0f * a));
    DAYBREAK_MAP(gelu, 0.5f * a * (1.0f + tanh_f32(gelu_inner(a))));
    DAYBREAK_MAP(ramp, (a > 0.0f ? a : 0.0f) + 0.1f * a);
    DAYBREAK_MAP(loggy, tanh_f32(0.5f * a));
    DAYBREAK_MAP(hardtan, a < -1.0f ? -1.0f : (a > 1.0f ? 1.0f : a));
    DAYBREAK_MAP(lhtan, a < 0.0f ? 0.001f * a : (a > 1.0f ? 0.001f * (a - 1.0f) + 1.0f : a));
    DAYBREAK_MAP(plse, a < -4.0f  ? 0.01f * (a + 4.0f)
                       : a > 4.0f ? 0.01f * (a - 4.0f) + 1.0f
                                  : 0.125f * a + 0.5f);
    DAYBREAK_MAP(stair, stair(a));
  }
#undef DAYBREAK_MAP
}

DAYBREAK_MULTIARCH void backward_range(const Activation& act, const float* v, const float* dy,
                                       float* dx, std::int64_t begin, std::int64_t end) {
  const float slope = act.slope;
#define DAYBREAK_MAP(KIND, EXPRESSION) \
  case ActKind::KIND:                  \
    return map_backward(               \
        v, dy, dx, begin, end, [=](float a) __attribute__((always_inline)) { return EXPRESSION; })
  switch (act.kind) {
    DAYBREAK_MAP(none, 1.0f + 0.0f * a);
    DAYBREAK_MAP(relu, a > 0.0f ? 1.0f : 0.0f);
    DAYBREAK_MAP(leaky, a > 0.0f ? 1.0f : slope);
    DAYBREAK_MAP(sigmoid, a * (1.0f - a));
    DAYBREAK_MAP(tanh, 1.0f - a * a);
    DAYBREAK_MAP(relu6, a > 0.0f && a < 6.0f ? 1.0f : 0.0f);
    DAYBREAK_MAP(elu, a > 0.0f ? 1.0f : a + 1.0f);
    DAYBREAK_MAP(selu, a > 0.0f ? kScale : a + kScaleAlpha);
    DAYBREAK_MAP(swish, sigmoid(a) * (1.0f + a * sigmoid(-a)));
    DAYBREAK_MAP(mish, tanh_softplus(a) + a * one_minus_square(tanh_softplus(a)) * sigmoid(a));
    DAYBREAK_MAP(hard_mish, a > 0.0f ? 1.0f : (a > -2.0f ? a + 1.0f : 0.0f));
    DAYBREAK_MAP(gelu, 0.5f * (1.0f + tanh_f32(gelu_inner(a))) +
                           0.5f * a * one_minus_square(tanh_f32(gelu_inner(a))) *
                               (kGeluA + 3.0f * kGeluB * a * a));
    DAYBREAK_MAP(ramp, a > 0.0f ? 1.1f : 0.1f);
    DAYBREAK_MAP(loggy, 0.5f * (1.0f - a * a));
    DAYBREAK_MAP(hardtan, a > -1.0f && a < 1.0f ? 1.0f : 0.0f);
    DAYBREAK_MAP(lhtan, a > 0.0f && a < 1.0f ? 1.0f : 0.001f);
    DAYBREAK_MAP(plse, a < 0.0f || a > 1.0f ? 0.01f : 0.125f);
    DAYBREAK_MAP(stair, a == floor_f32(a) ? 0.0f : 1.0f);
  }
#undef DAYBREAK_MAP
}

}  // namespace

void activate(const Activation& act, float* y, std::int64_t count) {
  parallel_for(count, kGrain,
               [&](std::int64_t begin, std::int64_t end) { forward_range(act, y, y, begin, end); });
}

CpuOffers act_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Activation act = static_cast<const Act&>(*query.op).act;
  const Layout layout = own_layout(query);
  const TensorDesc desc = context.with_layout(query.output, layout);
  const std::int64_t count = static_cast<std::int64_t>(desc.bytes / sizeof(float));
  const bool is_forward = query.pass == Pass::forward;
  const bool from_input = needs_input(act.kind);
  const bool moves_zero = act.kind == ActKind::sigmoid || act.kind == ActKind::plse;
  const Planes planes = make_planes(desc.shape, layout, context.block);
  KernelOffer offer = own_offer(context, query, "act", layout, [=](const Bindings& b) {
    float* dx = entry(b.dx, 0);
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      if (is_forward) {
        forward_range(act, as(b.x[0]), as(b.y), begin, end);
      } else if (dx) {
        backward_range(act, from_input ? as(b.x[0]) : as(b.y), as(b.dy), dx, begin, end);
      }
    });
    if (is_forward && moves_zero) zero_padding(planes, as(b.y));
  });
  if (!is_forward) {
    offer.reads.inputs = from_input;
    offer.reads.output = !from_input;
  }
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
