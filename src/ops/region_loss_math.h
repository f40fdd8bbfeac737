#pragma once

#include "ops/region_loss.h"
#include "ops/yolo_loss_math.h"

// The terms of RegionLoss at one place. Boxes are decoded as those of a plain YOLO head.

namespace daybreak {

template <typename T>
struct RegionTerms {
  YoloTerms<T> boxes;  ///< anchors, sizes, ignore = thresh
  bool softmax = true, rescore = false, bias_match = false;
  T object, noobject, cls, coord;  ///< scales
};

template <typename T>
RegionTerms<T> region_terms(const RegionLoss& op, const Shape& map, const Shape& boxes) {
  YoloLoss plain;
  plain.anchors = op.anchors;
  for (int a = 0; a < static_cast<int>(op.anchors.size()); ++a) plain.mask.push_back(a);
  plain.classes = op.classes;
  plain.stride_x = plain.stride_y = 1.0f;  // anchors are in cells
  plain.ignore_thresh = op.thresh;
  RegionTerms<T> t;
  t.boxes = yolo_terms<T>(plain, map, boxes);
  t.softmax = op.softmax, t.rescore = op.rescore, t.bias_match = op.bias_match;
  t.object = op.object_scale, t.noobject = op.noobject_scale;
  t.cls = op.class_scale, t.coord = op.coord_scale;
  return t;
}

/// The cell and the one anchor that learn a truth; `x` points to the picture's map.
template <typename T, typename S>
DAYBREAK_DEVICE inline YoloClaim region_claim(const RegionTerms<T>& t, const S* x, const S* row) {
  YoloClaim claim = yolo_claim(t.boxes, row);
  if (claim.cell < 0 || t.bias_match) return claim;
  const std::int64_t cells = std::int64_t{t.boxes.height} * t.boxes.width;
  const BoxT<T> truth = truth_box<T>(row);
  T most = -1;
  for (int a = 0; a < t.boxes.anchors; ++a) {
    const S* place = x + a * (5 + t.boxes.classes) * cells + claim.cell;
    const BoxT<T> box = yolo_decode<T>(t.boxes, place, cells, a, 0, 0).box;
    const T overlap = iou_of<T>({0, 0, truth.w, truth.h}, {0, 0, box.w, box.h});
    if (overlap > most) most = overlap, claim.best = std::uint64_t{1} << a;
  }
  return claim;
}

/// weight / 2 (sigmoid(x) - target)^2 with its derivative.
template <typename T>
DAYBREAK_DEVICE inline Slope<T> squared_sigmoid(T x, T target, T weight) {
  const T p = 1 / (1 + std::exp(-x));
  return {weight / 2 * (p - target) * (p - target), weight * (p - target) * p * (1 - p)};
}

template <typename T, typename S>
DAYBREAK_DEVICE inline T region_box_loss(const RegionTerms<T>& t, const S* x, std::int64_t stride,
                                         int a, int cell, const BoxT<T>& truth, T scale, S* g) {
  const BoxT<T> target = yolo_target(t.boxes, truth, a, cell % t.boxes.width, cell / t.boxes.width);
  const T weight = t.coord * (2 - truth.w * truth.h);
  const T centre[2] = {target.x, target.y}, size[2] = {target.w, target.h};
  T sum = 0;
  for (int k = 0; k < 2; ++k) {
    const Slope<T> one = squared_sigmoid(static_cast<T>(x[k * stride]), centre[k], weight);
    const T off = static_cast<T>(x[(2 + k) * stride]) - size[k];
    sum += one.value + weight / 2 * off * off;
    if (!g) continue;
    g[k * stride] = static_cast<S>(scale * one.d);
    g[(2 + k) * stride] = static_cast<S>(scale * weight * off);
  }
  return sum;
}

template <typename T, typename S>
DAYBREAK_DEVICE inline T region_class_loss(const RegionTerms<T>& t, const S* x, std::int64_t stride,
                                           int category, T scale, S* g) {
  const int classes = t.boxes.classes;
  T most = static_cast<T>(x[0]), sum = 0, loss = 0;
  for (int c = 1; c < classes; ++c) most = larger(most, static_cast<T>(x[c * stride]));
  for (int c = 0; c < classes; ++c) sum += std::exp(static_cast<T>(x[c * stride]) - most);
  for (int c = 0; c < classes; ++c) {
    const T value = static_cast<T>(x[c * stride]), target = c == category ? T(1) : T(0);
    Slope<T> one = {T(0), std::exp(value - most) / sum - target};
    if (t.softmax) {
      if (c == category) one.value = most + std::log(sum) - value;
    } else {
      one = yolo_entropy(value, target, false);
    }
    loss += t.cls * one.value;
    if (g) g[c * stride] = static_cast<S>(scale * t.cls * one.d);
  }
  return loss;
}

/// As yolo_place_loss.
template <typename T, typename S>
DAYBREAK_DEVICE inline T region_place_loss(const RegionTerms<T>& t, const S* x, std::int64_t stride,
                                           int a, int cell, const S* rows, const YoloClaim* claims,
                                           T scale, S* g) {
  for (int k = 0; g && k < 5 + t.boxes.classes; ++k) g[k * stride] = S(0);
  const BoxT<T> box =
      yolo_decode<T>(t.boxes, x, stride, a, cell % t.boxes.width, cell / t.boxes.width).box;
  const int owner = yolo_owner(claims, t.boxes.truths, a, cell);
  if (owner < 0) {
    for (int m = 0; m < t.boxes.truths; ++m) {
      if (claims[m].cell >= 0 && iou_of(box, truth_box<T>(rows + 5 * m)) > t.boxes.ignore) {
        return T(0);
      }
    }
  }
  const BoxT<T> truth = owner < 0 ? box : truth_box<T>(rows + 5 * owner);
  const T target = owner < 0 ? T(0) : t.rescore ? iou_of(box, truth) : T(1);
  const Slope<T> object =
      squared_sigmoid(static_cast<T>(x[4 * stride]), target, owner < 0 ? t.noobject : t.object);
  if (g) g[4 * stride] = static_cast<S>(scale * object.d);
  if (owner < 0) return object.value;
  S* const class_g = g ? g + 5 * stride : g;
  return object.value + region_box_loss(t, x, stride, a, cell, truth, scale, g) +
         region_class_loss(t, x + 5 * stride, stride, claims[owner].category, scale, class_g);
}

}  // namespace daybreak
