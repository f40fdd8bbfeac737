#include "ops/softmax_ref.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/softmax.h"

namespace daybreak {

std::vector<KernelOffer> softmax_ref_offers(const KernelQuery& query) {
  const Shape s = query.output.shape;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      for (std::int64_t n = 0; n < s.n; ++n) {
        for (std::int64_t i = 0; i < s.spatial(); ++i) {
          const T* x = as<T>(b.x[0]) + n * s.per_sample() + i;
          T* y = as<T>(b.y) + n * s.per_sample() + i;
          const double norm = log_sum_exp(x, s.c, s.spatial());
          for (std::int64_t c = 0; c < s.c; ++c) {
            y[c * s.spatial()] = static_cast<T>(std::exp(x[c * s.spatial()] - norm));
          }
        }
      }
    })};
  }
  return {ref_offer(query, {.output = true}, [=]<typename T>(T, const Bindings& b) {
    if (!entry<T>(b.dx, 0)) return;
    for (std::int64_t n = 0; n < s.n; ++n) {
      for (std::int64_t i = 0; i < s.spatial(); ++i) {
        const std::int64_t begin = n * s.per_sample() + i, stride = s.spatial();
        const T* y = as<T>(b.y) + begin;
        const T* dy = as<T>(b.dy) + begin;
        T* dx = as<T>(b.dx[0]) + begin;
        double dot = 0.0;
        for (std::int64_t c = 0; c < s.c; ++c) dot += double{y[c * stride]} * dy[c * stride];
        for (std::int64_t c = 0; c < s.c; ++c) {
          dx[c * stride] = static_cast<T>(y[c * stride] * (dy[c * stride] - dot));
        }
      }
    }
  })};
}

}  // namespace daybreak
