#include "ops/dropout.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "core/philox.h"

namespace daybreak {

namespace {

/// dst = src with the mask of this step applied; forward on x, backward on dy.
template <typename T>
void drop(const Dropout& op, const Shape& s, const StepScalars& scalars, const T* src, T* dst) {
  const double keep = 1.0 / (1.0 - double{op.p});
  std::int64_t i = 0;
  for (int n = 0; n < s.n; ++n) {
    Draws draws(scalars.seed, Purpose::dropout, scalars.step,
                (std::uint64_t{op.salt} << 32) + static_cast<std::uint32_t>(n));
    for (const std::int64_t end = i + s.per_sample(); i < end; ++i) {
      dst[i] = draws.uniform() < op.p ? T{0} : static_cast<T>(src[i] * keep);
    }
  }
}

}  // namespace

std::vector<KernelOffer> dropout_ref_offers(const KernelQuery& query) {
  const Dropout op = static_cast<const Dropout&>(*query.op);
  const Shape s = query.output.shape;
  const bool train = query.mode == Mode::train;
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* src = is_forward ? as<T>(b.x[0]) : as<T>(b.dy);
    T* dst = is_forward ? as<T>(b.y) : entry<T>(b.dx, 0);
    if (!dst) return;
    if (train) {
      drop(op, s, *b.scalars, src, dst);
    } else {
      for (std::int64_t i = 0; i < s.count(); ++i) dst[i] = src[i];
    }
  });
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
