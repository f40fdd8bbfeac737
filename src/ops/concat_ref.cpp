#include "ops/concat.h"

#include <algorithm>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

std::vector<KernelOffer> concat_ref_offers(const KernelQuery& query) {
  std::vector<std::int64_t> parts;  // elements of each input in a sample
  for (const TensorDesc& input : query.inputs) parts.push_back(input.shape.per_sample());
  const int samples = query.output.shape.n;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      T* y = as<T>(b.y);
      for (int n = 0; n < samples; ++n) {
        for (std::size_t i = 0; i < parts.size(); ++i) {
          y = std::copy_n(as<T>(b.x[i]) + n * parts[i], parts[i], y);
        }
      }
    })};
  }
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* dy = as<T>(b.dy);
    for (int n = 0; n < samples; ++n) {
      for (std::size_t i = 0; i < parts.size(); ++i) {
        T* dx = entry<T>(b.dx, i);
        if (dx) std::copy_n(dy, parts[i], dx + n * parts[i]);
        dy += parts[i];
      }
    }
  })};
}

}  // namespace daybreak
