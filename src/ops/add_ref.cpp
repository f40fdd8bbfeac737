#include "ops/add.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/act_ref.h"

namespace daybreak {

std::vector<KernelOffer> add_ref_offers(const KernelQuery& query) {
  const Add op = static_cast<const Add&>(*query.op);
  const std::int64_t count = query.output.shape.count();
  KernelOffer offer;
  if (query.pass == Pass::forward) {
    offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x0 = as<T>(b.x[0]);
      const T* x1 = as<T>(b.x[1]);
      T* y = as<T>(b.y);
      for (std::int64_t i = 0; i < count; ++i) {
        const double sum = double{op.coeff[0]} * x0[i] + double{op.coeff[1]} * x1[i];
        y[i] = static_cast<T>(act_value(op.act, sum));
      }
    });
  } else {
    const bool has_act = op.act.kind != ActKind::none;
    offer = ref_offer(query, {.output = has_act}, [=]<typename T>(T, const Bindings& b) {
      const T* y = as<T>(b.y);
      const T* dy = as<T>(b.dy);
      T* dx0 = entry<T>(b.dx, 0);
      T* dx1 = entry<T>(b.dx, 1);
      for (std::int64_t i = 0; i < count; ++i) {
        const double g = has_act ? dy[i] * act_derivative(op.act, y[i]) : dy[i];
        if (dx0) dx0[i] = static_cast<T>(op.coeff[0] * g);
        if (dx1) dx1[i] = static_cast<T>(op.coeff[1] * g);
      }
    });
  }
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
