#include <algorithm>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/slice.h"

namespace daybreak {

std::vector<KernelOffer> slice_ref_offers(const KernelQuery& query) {
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  const std::int64_t first =
      std::int64_t{static_cast<const Slice&>(*query.op).begin} * in.spatial();
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      for (std::int64_t n = 0; n < in.n; ++n) {
        std::copy_n(as<T>(b.x[0]) + n * in.per_sample() + first, out.per_sample(),
                    as<T>(b.y) + n * out.per_sample());
      }
    })};
  }
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    T* dx = entry<T>(b.dx, 0);
    if (!dx) return;
    std::fill_n(dx, in.count(), T{0});
    for (std::int64_t n = 0; n < in.n; ++n) {
      std::copy_n(as<T>(b.dy) + n * out.per_sample(), out.per_sample(),
                  dx + n * in.per_sample() + first);
    }
  })};
}

}  // namespace daybreak
