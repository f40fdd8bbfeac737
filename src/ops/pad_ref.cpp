#include "ops/pad.h"

#include <algorithm>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

/// The pixel of the picture that position i (0: first pixel) shows, or -1 for zero.
int source(PadKind kind, int i, int extent) {
  if (i >= 0 && i < extent) return i;
  switch (kind) {
    case PadKind::zero:
      return -1;
    case PadKind::reflect:
      return i < 0 ? -i : 2 * (extent - 1) - i;
    case PadKind::symmetric:
      return i < 0 ? -1 - i : 2 * extent - 1 - i;
  }
  return -1;
}

/// Calls body(y index, x index or -1) for every element of y.
template <typename Body>
void for_each_pixel(const Pad& op, const Shape& x, const Shape& y, Body&& body) {
  const std::int64_t planes = std::int64_t{x.n} * x.c;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    for (int oh = 0; oh < y.h; ++oh) {
      const int h = source(op.pad, oh - op.top, x.h);
      for (int ow = 0; ow < y.w; ++ow) {
        const int w = source(op.pad, ow - op.left, x.w);
        const std::int64_t from = h < 0 || w < 0 ? -1 : (plane * x.h + h) * x.w + w;
        body((plane * y.h + oh) * y.w + ow, from);
      }
    }
  }
}

}  // namespace

std::vector<KernelOffer> pad_ref_offers(const KernelQuery& query) {
  const Pad op = static_cast<const Pad&>(*query.op);
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      T* y = as<T>(b.y);
      for_each_pixel(op, in, out, [&](auto o, auto i) { y[o] = i < 0 ? T{0} : x[i]; });
    })};
  }
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    const T* dy = as<T>(b.dy);
    if (!entry<T>(b.dx, 0)) return;
    std::vector<double> sums(static_cast<std::size_t>(in.count()));
    for_each_pixel(op, in, out, [&](auto o, auto i) {
      if (i >= 0) sums[i] += dy[o];
    });
    std::copy(sums.begin(), sums.end(), as<T>(b.dx[0]));
  })};
}

}  // namespace daybreak
