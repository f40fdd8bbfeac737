#include "ops/pool.h"

#include <algorithm>
#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

/// One window: the pixels inside the picture, and what an average divides by.
struct Window {
  int h0, h1, w0, w1;
  double divisor;
};

Window window(const Pool& op, const Shape& x, int oh, int ow) {
  const int h = oh * op.stride_h - op.pad_top, w = ow * op.stride_w - op.pad_left;
  // Ceil mode may reach beyond the padding; that part never counts.
  const int padded_h = std::min(h + op.size_h, x.h + op.pad_bottom) - h;
  const int padded_w = std::min(w + op.size_w, x.w + op.pad_right) - w;
  const Window inside{std::max(h, 0), std::min(h + op.size_h, x.h), std::max(w, 0),
                      std::min(w + op.size_w, x.w), 0.0};
  const double area = static_cast<double>(inside.h1 - inside.h0) * (inside.w1 - inside.w0);
  const double divisor = op.count_padding ? static_cast<double>(padded_h) * padded_w : area;
  return {inside.h0, inside.h1, inside.w0, inside.w1, divisor};
}

/// Calls body(plane, y index, window) for every element of y.
template <typename Body>
void for_each_window(const Pool& op, const Shape& x, const Shape& y, Body&& body) {
  const std::int64_t planes = std::int64_t{x.n} * x.c;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    for (int oh = 0; oh < y.h; ++oh) {
      for (int ow = 0; ow < y.w; ++ow) {
        body(plane, (plane * y.h + oh) * y.w + ow, window(op, x, oh, ow));
      }
    }
  }
}

/// Position in the plane of the first maximum in row order; a NaN wins, as in PyTorch.
template <typename T>
std::int32_t winner(const Shape& s, const T* plane, const Window& win) {
  std::int32_t best = win.h0 * s.w + win.w0;
  for (int h = win.h0; h < win.h1; ++h) {
    for (int w = win.w0; w < win.w1; ++w) {
      const T value = plane[h * s.w + w];
      if (value > plane[best] || (std::isnan(value) && !std::isnan(plane[best]))) {
        best = h * s.w + w;
      }
    }
  }
  return best;
}

template <typename T>
void forward(const Pool& op, const Shape& in, const Shape& out, const Bindings& b) {
  T* y = as<T>(b.y);
  auto* winners = as<std::int32_t>(b.aux);
  for_each_window(op, in, out, [&](std::int64_t plane, std::int64_t o, const Window& win) {
    const T* x = as<T>(b.x[0]) + plane * in.spatial();
    if (op.pool == PoolKind::max) {
      const std::int32_t best = winner(in, x, win);
      y[o] = x[best];
      if (winners) winners[o] = best;
      return;
    }
    double sum = 0.0;
    for (int h = win.h0; h < win.h1; ++h) {
      for (int w = win.w0; w < win.w1; ++w) sum += x[h * in.w + w];
    }
    y[o] = static_cast<T>(sum / win.divisor);
  });
}

template <typename T>
void backward(const Pool& op, const Shape& in, const Shape& out, const Bindings& b) {
  const T* dy = as<T>(b.dy);
  const auto* winners = as<std::int32_t>(b.aux);
  std::vector<double> sums(static_cast<std::size_t>(in.count()));
  for_each_window(op, in, out, [&](std::int64_t plane, std::int64_t o, const Window& win) {
    double* dx = sums.data() + plane * in.spatial();
    if (op.pool == PoolKind::max) {
      dx[winners[o]] += dy[o];
      return;
    }
    for (int h = win.h0; h < win.h1; ++h) {
      for (int w = win.w0; w < win.w1; ++w) dx[h * in.w + w] += dy[o] / win.divisor;
    }
  });
  std::copy(sums.begin(), sums.end(), as<T>(b.dx[0]));
}

}  // namespace

std::vector<KernelOffer> pool_ref_offers(const KernelQuery& query) {
  const Pool op = static_cast<const Pool&>(*query.op);
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  const bool is_max = op.pool == PoolKind::max;
  if (query.pass == Pass::forward) {
    KernelOffer offer =
        ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) { forward<T>(op, in, out, b); });
    if (is_max && query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(out.count()) * sizeof(std::int32_t);
    }
    return {offer};
  }
  return {ref_offer(query, {.aux = is_max}, [=]<typename T>(T, const Bindings& b) {
    if (entry<T>(b.dx, 0)) backward<T>(op, in, out, b);
  })};
}

}  // namespace daybreak
