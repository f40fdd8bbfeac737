#include "ops/act_ref.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/act.h"

namespace daybreak {

std::vector<KernelOffer> act_ref_offers(const KernelQuery& query) {
  const Activation act = static_cast<const Act&>(*query.op).act;
  const std::int64_t count = query.output.shape.count();
  KernelOffer offer;
  if (query.pass == Pass::forward) {
    offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      T* y = as<T>(b.y);
      for (std::int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(act_value(act, x[i]));
    });
  } else {
    const bool from_input = needs_input(act.kind);
    const Reads reads{.inputs = from_input, .output = !from_input};
    offer = ref_offer(query, reads, [=]<typename T>(T, const Bindings& b) {
      const T* y = from_input ? as<T>(b.x[0]) : as<T>(b.y);
      const T* dy = as<T>(b.dy);
      T* dx = entry<T>(b.dx, 0);
      if (!dx) return;
      for (std::int64_t i = 0; i < count; ++i) {
        dx[i] = static_cast<T>(dy[i] * act_derivative(act, y[i]));
      }
    });
  }
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
