#include "core/box.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daybreak {
namespace {

/// Extent along one axis of the common part and of the enclosing interval.
struct Spans {
  double common = 0.0;
  double enclosing = 0.0;
};

Spans spans(double ca, double wa, double cb, double wb) {
  const double low_a = ca - wa / 2, high_a = ca + wa / 2;
  const double low_b = cb - wb / 2, high_b = cb + wb / 2;
  return {std::max(0.0, std::min(high_a, high_b) - std::max(low_a, low_b)),
          std::max(high_a, high_b) - std::min(low_a, low_b)};
}

struct Overlap {
  double common = 0.0;
  double all = 0.0;
  double enclosing_w = 0.0, enclosing_h = 0.0;
  double iou() const { return all > 0.0 ? common / all : 0.0; }
};

Overlap overlap(const Box& a, const Box& b) {
  const Spans x = spans(a.cx, a.w, b.cx, b.w);
  const Spans y = spans(a.cy, a.h, b.cy, b.h);
  Overlap result;
  result.common = x.common * y.common;
  result.all = double{a.w} * a.h + double{b.w} * b.h - result.common;
  result.enclosing_w = x.enclosing, result.enclosing_h = y.enclosing;
  return result;
}

}  // namespace

double iou(const Box& a, const Box& b) {
  return overlap(a, b).iou();
}

double giou(const Box& a, const Box& b) {
  const Overlap o = overlap(a, b);
  const double enclosing = o.enclosing_w * o.enclosing_h;
  return enclosing > 0.0 ? o.iou() - (enclosing - o.all) / enclosing : o.iou();
}

double diou(const Box& a, const Box& b, double exponent) {
  const Overlap o = overlap(a, b);
  const double diagonal = o.enclosing_w * o.enclosing_w + o.enclosing_h * o.enclosing_h;
  if (!(diagonal > 0.0)) return o.iou();
  const double dx = double{a.cx} - b.cx, dy = double{a.cy} - b.cy;
  const double share = (dx * dx + dy * dy) / diagonal;
  return o.iou() - (exponent == 1.0 ? share : std::pow(share, exponent));
}

double ciou(const Box& predicted, const Box& truth) {
  const double overlap_share = iou(predicted, truth);
  const double angle =
      std::atan2(double{truth.w}, truth.h) - std::atan2(double{predicted.w}, predicted.h);
  const double v = 4.0 / (std::numbers::pi * std::numbers::pi) * angle * angle;
  const double alpha = v / (1.0 - overlap_share + v + 1e-6);
  return diou(predicted, truth) - alpha * v;
}

}  // namespace daybreak
