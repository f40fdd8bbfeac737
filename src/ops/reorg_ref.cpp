#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/reorg.h"

namespace daybreak {

std::vector<KernelOffer> reorg_ref_offers(const KernelQuery& query) {
  const Reorg op = static_cast<const Reorg&>(*query.op);
  const Shape in = query.inputs[0].shape;
  const bool is_forward = query.pass == Pass::forward;
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* from = is_forward ? as<T>(b.x[0]) : as<T>(b.dy);
    T* to = is_forward ? as<T>(b.y) : entry<T>(b.dx, 0);
    if (!to) return;
    for (std::int64_t n = 0; n < in.n; ++n) {
      const std::int64_t sample = n * in.per_sample();
      for (std::int64_t i = 0; i < in.per_sample(); ++i) {
        const std::int64_t j = source_index(op.order, op.stride, in.c, in.h, in.w, i);
        if (is_forward) {
          to[sample + i] = from[sample + j];
        } else {
          to[sample + j] = from[sample + i];
        }
      }
    }
  })};
}

}  // namespace daybreak
