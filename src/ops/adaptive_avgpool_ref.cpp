#include "ops/adaptive_avgpool.h"

#include <algorithm>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

struct Window {
  std::int64_t begin, end;
};

Window window(std::int64_t i, std::int64_t in, std::int64_t out) {
  return {i * in / out, ((i + 1) * in + out - 1) / out};
}

/// Calls body(x index, y index, share) for every pixel of every window.
template <typename Body>
void for_each_share(const Shape& x, const Shape& y, Body&& body) {
  const std::int64_t planes = std::int64_t{x.n} * x.c;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    for (int oh = 0; oh < y.h; ++oh) {
      const Window wh = window(oh, x.h, y.h);
      for (int ow = 0; ow < y.w; ++ow) {
        const Window ww = window(ow, x.w, y.w);
        const double share = 1.0 / static_cast<double>((wh.end - wh.begin) * (ww.end - ww.begin));
        for (std::int64_t h = wh.begin; h < wh.end; ++h) {
          for (std::int64_t w = ww.begin; w < ww.end; ++w) {
            body((plane * x.h + h) * x.w + w, (plane * y.h + oh) * y.w + ow, share);
          }
        }
      }
    }
  }
}

}  // namespace

std::vector<KernelOffer> adaptive_avgpool_ref_offers(const KernelQuery& query) {
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      std::vector<double> sums(static_cast<std::size_t>(out.count()));
      for_each_share(in, out, [&](auto i, auto o, double share) { sums[o] += share * x[i]; });
      std::copy(sums.begin(), sums.end(), as<T>(b.y));
    })};
  }
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* dy = as<T>(b.dy);
    if (!entry<T>(b.dx, 0)) return;
    std::vector<double> sums(static_cast<std::size_t>(in.count()));
    for_each_share(in, out, [&](auto i, auto o, double share) { sums[i] += share * dy[o]; });
    std::copy(sums.begin(), sums.end(), as<T>(b.dx[0]));
  })};
}

}  // namespace daybreak
