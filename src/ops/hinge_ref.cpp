#include "ops/hinge.h"

#include <algorithm>

#include "backend/ref/label.h"
#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

std::vector<KernelOffer> hinge_ref_offers(const KernelQuery& query) {
  const double margin = static_cast<const Hinge&>(*query.op).margin;
  const int samples = query.inputs[0].shape.n, classes = query.inputs[0].shape.c;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      double sum = 0.0;
      for (int n = 0; n < samples; ++n) {
        const T* scores = as<T>(b.x[0]) + std::int64_t{n} * classes;
        const int label = checked_label(as<std::int32_t>(b.x[1])[n], n, classes);
        for (int k = 0; k < classes; ++k) {
          const double violation = double{scores[k]} - scores[label] + margin;
          if (k != label && !(violation <= 0.0)) sum += violation;  // NaN is kept
        }
      }
      *as<T>(b.y) = static_cast<T>(sum / samples);
    })};
  }
  return {ref_offer(query, {.inputs = true}, [=]<typename T>(T, const Bindings& b) {
    if (!entry<T>(b.dx, 0)) return;
    const double g = double{*as<T>(b.dy)} / samples;
    for (int n = 0; n < samples; ++n) {
      const T* scores = as<T>(b.x[0]) + std::int64_t{n} * classes;
      T* dx = as<T>(b.dx[0]) + std::int64_t{n} * classes;
      const int label = checked_label(as<std::int32_t>(b.x[1])[n], n, classes);
      int violations = 0;
      for (int k = 0; k < classes; ++k) {
        const bool violated = k != label && double{scores[k]} - scores[label] + margin > 0.0;
        dx[k] = static_cast<T>(violated ? g : 0.0);
        violations += violated ? 1 : 0;
      }
      dx[label] = static_cast<T>(-g * violations);
    }
  })};
}

}  // namespace daybreak
