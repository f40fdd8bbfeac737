#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/multiply.h"

namespace daybreak {
namespace {

/// Calls body(i, j) for every element i of x0 and the element j of x1 it is multiplied by.
template <typename Body>
void for_each_pair(const Shape& x, const Shape& f, Body&& body) {
  std::int64_t i = 0;
  for (int n = 0; n < x.n; ++n)
    for (int c = 0; c < x.c; ++c)
      for (int h = 0; h < x.h; ++h)
        for (int w = 0; w < x.w; ++w) {
          const std::int64_t plane = std::int64_t{n} * f.c + (f.c == 1 ? 0 : c);
          const std::int64_t pixel = f.spatial() == 1 ? 0 : std::int64_t{h} * f.w + w;
          body(i++, plane * f.spatial() + pixel);
        }
}

}  // namespace

std::vector<KernelOffer> multiply_ref_offers(const KernelQuery& query) {
  const Shape x = query.inputs[0].shape, f = query.inputs[1].shape;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T *x0 = as<T>(b.x[0]), *x1 = as<T>(b.x[1]);
      T* y = as<T>(b.y);
      for_each_pair(x, f, [&](std::int64_t i, std::int64_t j) { y[i] = x0[i] * x1[j]; });
    })};
  }
  return {ref_offer(query, {.inputs = true}, [=]<typename T>(T, const Bindings& b) {
    const T *x0 = as<T>(b.x[0]), *x1 = as<T>(b.x[1]), *dy = as<T>(b.dy);
    if (T* dx = entry<T>(b.dx, 0)) {
      for_each_pair(x, f, [&](std::int64_t i, std::int64_t j) { dx[i] = dy[i] * x1[j]; });
    }
    T* df = entry<T>(b.dx, 1);
    if (!df) return;
    std::vector<double> sums(static_cast<std::size_t>(f.count()));
    for_each_pair(x, f, [&](std::int64_t i, std::int64_t j) { sums[j] += double{dy[i]} * x0[i]; });
    for (std::int64_t j = 0; j < f.count(); ++j) df[j] = static_cast<T>(sums[j]);
  })};
}

}  // namespace daybreak
