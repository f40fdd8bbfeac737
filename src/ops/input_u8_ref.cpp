#include "ops/input_u8.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

std::vector<KernelOffer> input_u8_ref_offers(const KernelQuery& query) {
  const InputU8 op = static_cast<const InputU8&>(*query.op);
  const Shape s = query.output.shape;
  KernelOffer offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const auto* x = as<std::uint8_t>(b.x[0]);  // [N, H, W, C]
    T* y = as<T>(b.y);
    for (std::int64_t n = 0; n < s.n; ++n) {
      for (int c = 0; c < s.c; ++c) {
        const int from = op.reverse_channels ? s.c - 1 - c : c;
        for (int i = 0; i < s.spatial(); ++i) {
          const double value = double{op.scale} * x[(n * s.spatial() + i) * s.c + from];
          *y++ = static_cast<T>((value - op.mean[c]) / op.std[c]);
        }
      }
    }
  });
  offer.inputs[0].layout = kNhwc;
  return {offer};
}

}  // namespace daybreak
