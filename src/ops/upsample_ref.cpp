#include "ops/upsample.h"

#include <algorithm>
#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

/// The two pixels an output position lies between, and the share of the second.
struct Taps {
  int first, second;
  double share;
};

Taps taps(const Upsample& op, int o, int extent) {
  if (op.upsample == UpsampleKind::nearest) return {o / op.scale, o / op.scale, 0.0};
  const double position = std::max(0.0, (o + 0.5) / op.scale - 0.5);
  const int first = static_cast<int>(position);
  return {first, std::min(first + 1, extent - 1), position - first};
}

/// Calls body(y index, x index, share) for every pixel that an output pixel reads.
template <typename Body>
void for_each_tap(const Upsample& op, const Shape& x, const Shape& y, Body&& body) {
  const std::int64_t planes = std::int64_t{x.n} * x.c;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    for (int oh = 0; oh < y.h; ++oh) {
      const Taps th = taps(op, oh, x.h);
      for (int ow = 0; ow < y.w; ++ow) {
        const Taps tw = taps(op, ow, x.w);
        const std::int64_t o = (plane * y.h + oh) * y.w + ow;
        const std::int64_t top = (plane * x.h + th.first) * x.w;
        const std::int64_t bottom = (plane * x.h + th.second) * x.w;
        body(o, top + tw.first, (1.0 - th.share) * (1.0 - tw.share));
        if (tw.share != 0.0) body(o, top + tw.second, (1.0 - th.share) * tw.share);
        if (th.share == 0.0) continue;
        body(o, bottom + tw.first, th.share * (1.0 - tw.share));
        if (tw.share != 0.0) body(o, bottom + tw.second, th.share * tw.share);
      }
    }
  }
}

}  // namespace

std::vector<KernelOffer> upsample_ref_offers(const KernelQuery& query) {
  const Upsample op = static_cast<const Upsample&>(*query.op);
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      std::vector<double> sums(static_cast<std::size_t>(out.count()));
      for_each_tap(op, in, out, [&](auto o, auto i, double share) { sums[o] += share * x[i]; });
      std::copy(sums.begin(), sums.end(), as<T>(b.y));
    })};
  }
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* dy = as<T>(b.dy);
    if (!entry<T>(b.dx, 0)) return;
    std::vector<double> sums(static_cast<std::size_t>(in.count()));
    for_each_tap(op, in, out, [&](auto o, auto i, double share) { sums[i] += share * dy[o]; });
    std::copy(sums.begin(), sums.end(), as<T>(b.dx[0]));
  })};
}

}  // namespace daybreak
