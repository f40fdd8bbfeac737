#include "ops/softmax_xent.h"

#include "backend/ref/label.h"
#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/softmax_ref.h"

namespace daybreak {

std::vector<KernelOffer> softmax_xent_ref_offers(const KernelQuery& query) {
  const double smoothing = static_cast<const SoftmaxXent&>(*query.op).label_smoothing;
  const int samples = query.inputs[0].shape.n, classes = query.inputs[0].shape.c;
  const auto target = [=](int k, int label) {
    return (k == label ? 1.0 - smoothing : 0.0) + smoothing / classes;
  };
  if (query.pass == Pass::forward) {
    KernelOffer offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      T* aux = as<T>(b.aux);
      double sum = 0.0;
      for (int n = 0; n < samples; ++n) {
        const T* z = as<T>(b.x[0]) + std::int64_t{n} * classes;
        const int label = checked_label(as<std::int32_t>(b.x[1])[n], n, classes);
        const double norm = log_sum_exp(z, classes, 1);
        for (int k = 0; k < classes; ++k) {
          // A class without a share of the target adds nothing, even at a score of -inf.
          const double q = target(k, label);
          if (q != 0.0) sum += q * (norm - z[k]);
          if (aux) aux[std::int64_t{n} * classes + k] = static_cast<T>(std::exp(z[k] - norm));
        }
      }
      *as<T>(b.y) = static_cast<T>(sum / samples);
    });
    if (query.mode == Mode::train) {
      offer.aux_bytes = std::size_t(samples) * classes * element_size(ref_dtype(query));
    }
    return {offer};
  }
  return {ref_offer(query, {.inputs = true, .aux = true}, [=]<typename T>(T, const Bindings& b) {
    T* dx = entry<T>(b.dx, 0);
    if (!dx) return;
    const T* p = as<T>(b.aux);
    const double g = double{*as<T>(b.dy)} / samples;
    for (int n = 0; n < samples; ++n) {
      const int label = checked_label(as<std::int32_t>(b.x[1])[n], n, classes);
      for (int k = 0; k < classes; ++k) *dx++ = static_cast<T>(g * (*p++ - target(k, label)));
    }
  })};
}

}  // namespace daybreak
