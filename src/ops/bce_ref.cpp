#include "ops/bce.h"

#include <algorithm>
#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

std::vector<KernelOffer> bce_ref_offers(const KernelQuery& query) {
  const std::int64_t count = query.inputs[0].shape.count();
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      const T* t = as<T>(b.x[1]);
      double sum = 0.0;
      for (std::int64_t i = 0; i < count; ++i) {
        const double z = x[i];
        sum += std::max(z, 0.0) - z * t[i] + std::log1p(std::exp(-std::abs(z)));
      }
      *as<T>(b.y) = static_cast<T>(sum / static_cast<double>(count));
    })};
  }
  return {ref_offer(query, {.inputs = true}, [=]<typename T>(T, const Bindings& b) {
    const T* x = as<T>(b.x[0]);
    const T* t = as<T>(b.x[1]);
    T* dx = entry<T>(b.dx, 0);
    if (!dx) return;
    const double g = *as<T>(b.dy) / static_cast<double>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      dx[i] = static_cast<T>(g * (1.0 / (1.0 + std::exp(-double{x[i]})) - t[i]));
    }
  })};
}

}  // namespace daybreak
