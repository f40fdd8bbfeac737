#pragma once

#include <cmath>

#include "core/box.h"

// Overlaps of boxes with their gradients, for kernels of every backend: no allocation, no library.

#if defined(__CUDACC__)
#define DAYBREAK_DEVICE __host__ __device__
#else
#define DAYBREAK_DEVICE
#endif

namespace daybreak {

/// A box by centre and size in the kernel's arithmetic.
template <typename T>
struct BoxT {
  T x, y, w, h;
};

/// A function of a box and its derivatives with respect to x, y, w, h.
template <typename T>
struct BoxGradient {
  T value = T(0);
  T d[4] = {T(0), T(0), T(0), T(0)};
};

template <typename T>
DAYBREAK_DEVICE inline T smaller(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
DAYBREAK_DEVICE inline T larger(T a, T b) {
  return a > b ? a : b;
}

/// Intersection over union; 0 for an empty union.
template <typename T>
DAYBREAK_DEVICE inline T iou_of(const BoxT<T>& a, const BoxT<T>& b) {
  const T w = smaller(a.x + a.w / 2, b.x + b.w / 2) - larger(a.x - a.w / 2, b.x - b.w / 2);
  const T h = smaller(a.y + a.h / 2, b.y + b.h / 2) - larger(a.y - a.h / 2, b.y - b.h / 2);
  if (!(w > 0 && h > 0)) return T(0);
  const T both = w * h;
  return both / (a.w * a.h + b.w * b.h - both);
}

/// One axis of the overlap of [x - w/2, x + w/2] with a fixed stretch: length of the intersection
/// and of the enclosing stretch, with derivatives with respect to x and w.
template <typename T>
struct AxisOverlap {
  T inner, inner_x, inner_w, outer, outer_x, outer_w;
};

template <typename T>
DAYBREAK_DEVICE inline AxisOverlap<T> axis_overlap(T x, T w, T low, T high) {
  const T left = x - w / 2, right = x + w / 2;
  const T right_in = right < high ? T(1) : T(0), left_in = left > low ? T(1) : T(0);
  const T right_out = right > high ? T(1) : T(0), left_out = left < low ? T(1) : T(0);
  AxisOverlap<T> a;
  a.inner = smaller(right, high) - larger(left, low);
  a.inner_x = right_in - left_in;
  a.inner_w = (right_in + left_in) / 2;
  a.outer = larger(right, high) - smaller(left, low);
  a.outer_x = right_out - left_out;
  a.outer_w = (right_out + left_out) / 2;
  return a;
}

/// d (a / b) for given a, b, da, db.
template <typename T>
DAYBREAK_DEVICE inline T quotient_d(T a, T b, T da, T db) {
  return (da * b - a * db) / (b * b);
}

/// The overlap of a predicted box `p` with a truth `t` (of positive size) that `kind` names, with
/// its true gradient with respect to p: CIoU's weight alpha is differentiated, too.
template <typename T>
DAYBREAK_DEVICE inline BoxGradient<T> box_overlap(BoxLoss kind, const BoxT<T>& p,
                                                  const BoxT<T>& t) {
  const AxisOverlap<T> ax = axis_overlap(p.x, p.w, t.x - t.w / 2, t.x + t.w / 2);
  const AxisOverlap<T> ay = axis_overlap(p.y, p.h, t.y - t.h / 2, t.y + t.h / 2);
  const bool meet = ax.inner > 0 && ay.inner > 0;
  const T both = meet ? ax.inner * ay.inner : T(0);
  const T all = p.w * p.h + t.w * t.h - both;
  T both_d[4] = {T(0), T(0), T(0), T(0)};
  if (meet) {
    both_d[0] = ax.inner_x * ay.inner, both_d[1] = ax.inner * ay.inner_x;
    both_d[2] = ax.inner_w * ay.inner, both_d[3] = ax.inner * ay.inner_w;
  }
  const T all_d[4] = {-both_d[0], -both_d[1], p.h - both_d[2], p.w - both_d[3]};
  BoxGradient<T> r;
  r.value = both / all;
  for (int k = 0; k < 4; ++k) r.d[k] = quotient_d(both, all, both_d[k], all_d[k]);
  if (kind == BoxLoss::iou || kind == BoxLoss::mse) return r;
  const T outer_d[4] = {ax.outer_x, ay.outer_x, ax.outer_w, ay.outer_w};
  if (kind == BoxLoss::giou) {
    const T hull = ax.outer * ay.outer;
    for (int k = 0; k < 4; ++k) {
      const T hull_d = outer_d[k] * (k % 2 == 0 ? ay.outer : ax.outer);
      r.d[k] += quotient_d(all, hull, all_d[k], hull_d);
    }
    r.value += all / hull - 1;
    return r;
  }
  const T dx = p.x - t.x, dy = p.y - t.y;
  const T far = dx * dx + dy * dy;
  const T diagonal = ax.outer * ax.outer + ay.outer * ay.outer;
  const T far_d[4] = {2 * dx, 2 * dy, T(0), T(0)};
  const T overlap = r.value;
  T overlap_d[4];
  for (int k = 0; k < 4; ++k) {
    overlap_d[k] = r.d[k];
    const T diagonal_d = 2 * (k % 2 == 0 ? ax.outer : ay.outer) * outer_d[k];
    r.d[k] -= quotient_d(far, diagonal, far_d[k], diagonal_d);
  }
  r.value -= far / diagonal;
  if (kind == BoxLoss::diou) return r;
  const T pi = T(3.14159265358979323846);
  const T turn = std::atan(t.w / t.h) - std::atan(p.w / p.h);
  const T v = 4 / (pi * pi) * turn * turn;
  const T v_turn = -8 / (pi * pi) * turn / (p.w * p.w + p.h * p.h);
  const T v_d[4] = {T(0), T(0), v_turn * p.h, -v_turn * p.w};
  const T below = 1 - overlap + v + T(1e-6);  // alpha v = v^2 / below
  for (int k = 0; k < 4; ++k) {
    r.d[k] -= quotient_d(v * v, below, 2 * v * v_d[k], v_d[k] - overlap_d[k]);
  }
  r.value -= v * v / below;
  return r;
}

}  // namespace daybreak
