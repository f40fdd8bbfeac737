#pragma once

#include <cstdint>

#include "ops/box_overlap.h"
#include "ops/yolo_loss.h"

// The terms of YoloLoss at one place, for kernels of every backend. T is the arithmetic.

namespace daybreak {

/// YoloLoss as plain numbers for one shape of the map.
template <typename T>
struct YoloTerms {
  int anchors = 0, all_anchors = 0;  ///< of the mask; of all heads
  int classes = 0, height = 0, width = 0, truths = 0;
  T anchor_w[kMaxYoloAnchors], anchor_h[kMaxYoloAnchors];  ///< fractions of the input
  int mask[kMaxYoloAnchors];
  BoxLoss box_loss = BoxLoss::mse;
  T ignore, truth, several;  ///< thresholds: ignore_thresh, truth_thresh, iou_thresh
  T box, objectness, cls;    ///< normalizers
  T scale;
  bool squashed = false;  ///< new_coords
  T smoothing, focal;
};

template <typename T>
YoloTerms<T> yolo_terms(const YoloLoss& op, const Shape& map, const Shape& boxes) {
  YoloTerms<T> t;
  t.anchors = static_cast<int>(op.mask.size());
  t.all_anchors = static_cast<int>(op.anchors.size());
  t.classes = op.classes, t.height = map.h, t.width = map.w, t.truths = boxes.c;
  for (int a = 0; a < t.all_anchors; ++a) {
    t.anchor_w[a] = T(op.anchors[a][0]) / (T(op.stride_x) * T(map.w));
    t.anchor_h[a] = T(op.anchors[a][1]) / (T(op.stride_y) * T(map.h));
  }
  for (int a = 0; a < t.anchors; ++a) t.mask[a] = op.mask[a];
  t.box_loss = op.box_loss;
  t.ignore = op.ignore_thresh, t.truth = op.truth_thresh, t.several = op.iou_thresh;
  t.box = op.iou_normalizer, t.objectness = op.obj_normalizer, t.cls = op.cls_normalizer;
  t.scale = op.scale_x_y, t.squashed = op.new_coords;
  t.smoothing = op.label_smoothing, t.focal = op.focal;
  return t;
}

/// A truth as the head sees it: its cell and the anchors of the mask that learn it.
struct YoloClaim {
  std::int32_t cell = -1;  ///< y * W + x; -1: unused
  std::int32_t category = -1;
  std::uint64_t best = 0;   ///< bit a: anchor a of the mask fits best of all anchors of all heads
  std::uint64_t other = 0;  ///< bit a: above iou_thresh
};

template <typename T, typename S>
DAYBREAK_DEVICE inline BoxT<T> truth_box(const S* row) {
  return {static_cast<T>(row[1]), static_cast<T>(row[2]), static_cast<T>(row[3]),
          static_cast<T>(row[4])};
}

template <typename T, typename S>
DAYBREAK_DEVICE inline YoloClaim yolo_claim(const YoloTerms<T>& t, const S* row) {
  YoloClaim claim;
  const BoxT<T> truth = truth_box<T>(row);
  if (!(row[0] >= 0) || !(truth.w > 0) || !(truth.h > 0)) return claim;
  claim.category = static_cast<std::int32_t>(row[0]);
  const T x = smaller(larger(truth.x * t.width, T(0)), T(t.width - 1));
  const T y = smaller(larger(truth.y * t.height, T(0)), T(t.height - 1));
  claim.cell = static_cast<std::int32_t>(y) * t.width + static_cast<std::int32_t>(x);
  T overlap[kMaxYoloAnchors];
  int best = 0;
  for (int a = 0; a < t.all_anchors; ++a) {
    overlap[a] = iou_of<T>({0, 0, truth.w, truth.h}, {0, 0, t.anchor_w[a], t.anchor_h[a]});
    if (overlap[a] > overlap[best]) best = a;
  }
  for (int a = 0; a < t.anchors; ++a) {
    const std::uint64_t bit = std::uint64_t{1} << a;
    if (t.mask[a] == best) claim.best |= bit;
    if (t.several < 1 && overlap[t.mask[a]] > t.several) claim.other |= bit;
  }
  return claim;
}

/// A value and its derivative.
template <typename T>
struct Slope {
  T value, d;
};

/// |t - p|^focal times the binary cross-entropy of `x` with the target t (see YoloLoss).
template <typename T>
DAYBREAK_DEVICE inline Slope<T> yolo_entropy(T x, T target, bool squashed, T focal = 0) {
  T p, p_d, loss, loss_d;
  if (squashed) {
    p = smaller(larger(x, T(1e-7)), T(1) - T(1e-7));
    p_d = 1;
    loss = -target * std::log(p) - (1 - target) * std::log(1 - p);
    loss_d = (p - target) / (p * (1 - p));
  } else {
    const T e = std::exp(x < 0 ? x : -x);
    p = x < 0 ? e / (1 + e) : 1 / (1 + e);
    p_d = p * (1 - p);
    loss = (x > 0 ? x : T(0)) - target * x + std::log1p(e);
    loss_d = p - target;
  }
  if (!(focal > 0)) return {loss, loss_d};
  const T gap = p > target ? p - target : target - p;
  const T weight = std::pow(gap, focal);
  const T weight_d = gap > 0 ? focal * weight / gap * (p > target ? p_d : -p_d) : T(0);
  return {weight * loss, weight * loss_d + weight_d * loss};
}

/// The box that the head's numbers x (values `stride` apart) mean at anchor `a`, cell (i, j), and
/// the derivative of each part with respect to its number.
template <typename T>
struct DecodedBox {
  BoxT<T> box;
  T d[4];
};

template <typename T, typename S>
DAYBREAK_DEVICE inline DecodedBox<T> yolo_decode(const YoloTerms<T>& t, const S* x,
                                                 std::int64_t stride, int a, int i, int j) {
  DecodedBox<T> r;
  T part[4];
  for (int k = 0; k < 4; ++k) part[k] = static_cast<T>(x[k * stride]);
  const T aw = t.anchor_w[t.mask[a]], ah = t.anchor_h[t.mask[a]];
  for (int k = 0; k < 2; ++k) {
    const T cells = k == 0 ? T(t.width) : T(t.height), at = k == 0 ? T(i) : T(j);
    const T p = t.squashed ? part[k] : 1 / (1 + std::exp(-part[k]));
    (k == 0 ? r.box.x : r.box.y) = (at + p * t.scale - (t.scale - 1) / 2) / cells;
    r.d[k] = t.scale * (t.squashed ? T(1) : p * (1 - p)) / cells;
  }
  if (t.squashed) {
    r.box.w = 4 * part[2] * part[2] * aw, r.d[2] = 8 * part[2] * aw;
    r.box.h = 4 * part[3] * part[3] * ah, r.d[3] = 8 * part[3] * ah;
  } else {
    r.box.w = r.d[2] = std::exp(part[2]) * aw;
    r.box.h = r.d[3] = std::exp(part[3]) * ah;
  }
  return r;
}

/// The numbers that would decode to `truth` at anchor a, cell (i, j): x and y after sigmoid.
template <typename T>
DAYBREAK_DEVICE inline BoxT<T> yolo_target(const YoloTerms<T>& t, const BoxT<T>& truth, int a,
                                           int i, int j) {
  const T w = truth.w / t.anchor_w[t.mask[a]], h = truth.h / t.anchor_h[t.mask[a]];
  const T x = (truth.x * t.width - i + (t.scale - 1) / 2) / t.scale;
  const T y = (truth.y * t.height - j + (t.scale - 1) / 2) / t.scale;
  if (t.squashed) return {x, y, std::sqrt(w) / 2, std::sqrt(h) / 2};
  return {x, y, std::log(w), std::log(h)};
}

/// Loss of the box at one place, its gradient written to g (values `stride` apart).
template <typename T, typename S>
DAYBREAK_DEVICE inline T yolo_box_loss(const YoloTerms<T>& t, const S* x, std::int64_t stride,
                                       int a, int i, int j, const BoxT<T>& truth, T scale, S* g) {
  if (t.box_loss != BoxLoss::mse) {
    const DecodedBox<T> p = yolo_decode<T>(t, x, stride, a, i, j);
    const BoxGradient<T> overlap = box_overlap(t.box_loss, p.box, truth);
    for (int k = 0; g && k < 4; ++k) {
      g[k * stride] = static_cast<S>(-scale * t.box * overlap.d[k] * p.d[k]);
    }
    return t.box * (1 - overlap.value);
  }
  const BoxT<T> target = yolo_target(t, truth, a, i, j);
  const T weight = t.box * (2 - truth.w * truth.h);
  const T centre[2] = {target.x, target.y}, size[2] = {target.w, target.h};
  T sum = 0;
  for (int k = 0; k < 2; ++k) {
    const Slope<T> entropy = yolo_entropy(static_cast<T>(x[k * stride]), centre[k], t.squashed);
    const T off = static_cast<T>(x[(2 + k) * stride]) - size[k];
    sum += entropy.value + off * off / 2;
    if (!g) continue;
    g[k * stride] = static_cast<S>(scale * weight * entropy.d);
    g[(2 + k) * stride] = static_cast<S>(scale * weight * off);
  }
  return weight * sum;
}

/// The truth that the place (anchor a, cell) learns by its position; -1: none.
DAYBREAK_DEVICE inline int yolo_owner(const YoloClaim* claims, int truths, int a, int cell) {
  int owner = -1;
  bool best = false;
  for (int m = 0; m < truths; ++m) {
    if (claims[m].cell != cell) continue;
    const bool fits_best = claims[m].best >> a & 1;
    if (!fits_best && (best || !(claims[m].other >> a & 1))) continue;
    owner = m;
    best = fits_best;
  }
  return owner;
}

/// True when one of the truths that want the place is of this category.
DAYBREAK_DEVICE inline bool yolo_teaches(const YoloClaim* claims, int truths, int a, int cell,
                                         int category) {
  for (int m = 0; m < truths; ++m) {
    if (claims[m].cell == cell && claims[m].category == category &&
        ((claims[m].best | claims[m].other) >> a & 1)) {
      return true;
    }
  }
  return false;
}

/// The whole loss of the place (anchor a, cell): `x` points to its tx, `rows` to the picture's M
/// true boxes. Writes `scale` times its gradient to all 5 + C numbers at `g`, unless that is null.
template <typename T, typename S>
DAYBREAK_DEVICE inline T yolo_place_loss(const YoloTerms<T>& t, const S* x, std::int64_t stride,
                                         int a, int cell, const S* rows, const YoloClaim* claims,
                                         T scale, S* g) {
  for (int k = 0; g && k < 5 + t.classes; ++k) g[k * stride] = S(0);
  const int i = cell % t.width, j = cell / t.width;
  int owner = yolo_owner(claims, t.truths, a, cell);
  bool blamed = true;
  if (owner < 0) {
    const BoxT<T> box = yolo_decode<T>(t, x, stride, a, i, j).box;
    T overlap = 0;
    int nearest = -1;
    for (int m = 0; m < t.truths; ++m) {
      if (claims[m].cell < 0) continue;
      const T one = iou_of(box, truth_box<T>(rows + 5 * m));
      if (one > overlap) overlap = one, nearest = m;
    }
    blamed = !(overlap > t.ignore);
    if (t.truth < 1 && overlap > t.truth) owner = nearest;
  }
  if (owner < 0 && !blamed) return T(0);
  const Slope<T> object =
      yolo_entropy(static_cast<T>(x[4 * stride]), T(owner < 0 ? 0 : 1), t.squashed);
  if (g) g[4 * stride] = static_cast<S>(scale * t.objectness * object.d);
  T sum = t.objectness * object.value;
  if (owner < 0) return sum;
  sum += yolo_box_loss(t, x, stride, a, i, j, truth_box<T>(rows + 5 * owner), scale, g);
  for (int c = 0; c < t.classes; ++c) {
    const bool is = claims[owner].category == c || yolo_teaches(claims, t.truths, a, cell, c);
    const T target = is ? 1 - t.smoothing / 2 : t.smoothing / 2;
    const std::int64_t at = (5 + c) * stride;
    const Slope<T> one = yolo_entropy(static_cast<T>(x[at]), target, t.squashed, t.focal);
    if (g) g[at] = static_cast<S>(scale * t.cls * one.d);
    sum += t.cls * one.value;
  }
  return sum;
}

}  // namespace daybreak
