#include "op_cases_detail.h"
#include "ops/bce.h"
#include "ops/distance.h"
#include "ops/hinge.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"

namespace daybreak::detail {

namespace {

std::vector<Shape> scores(int samples, int classes) {
  return {{samples, classes, 1, 1}, {samples, 1, 1, 1}};
}

OpCase xent(const std::string& name, int samples, int classes, float smoothing = 0.0f) {
  return make_case<SoftmaxXent>(name, scores(samples, classes),
                                [=](SoftmaxXent& op) { op.label_smoothing = smoothing; });
}

OpCase hinge(const std::string& name, int samples, int classes, float margin = 1.0f) {
  return make_case<Hinge>(name, scores(samples, classes), [=](Hinge& op) { op.margin = margin; });
}

OpCase distance(const std::string& name, DistanceKind kind, const Shape& x, float beta = 1.0f) {
  return make_case<Distance>(name, {x, x}, [=](Distance& op) {
    op.distance = kind;
    op.beta = beta;
  });
}

OpCase bce(const std::string& name, const Shape& x) {
  return make_case<Bce>(name, {x, x}, [](Bce&) {});
}

OpCase topk(const std::string& name, int samples, int classes, int k) {
  return make_case<TopkCount>(name, scores(samples, classes), [=](TopkCount& op) { op.k = k; });
}

}  // namespace

std::vector<OpCase> softmax_xent_cases() {
  return {
      xent("c1", 3, 1),
      xent("c2_batch1", 1, 2),
      xent("c3", 4, 3),
      xent("c10", 8, 10),
      xent("c13", 5, 13),
      xent("c17_smoothing", 3, 17, 0.1f),
      xent("c127", 4, 127),
      xent("c127_smoothing", 2, 127, 0.3f),
      xent("c10_smoothing_batch1", 1, 10, 0.1f),
      xent("batch17", 17, 5),
      large(xent("c1000", 64, 1000, 0.1f)),
      large(xent("c10_batch128", 128, 10)),
  };
}

std::vector<OpCase> hinge_cases() {
  return {
      hinge("c1", 3, 1),
      hinge("c2_batch1", 1, 2),
      hinge("c3", 4, 3),
      hinge("c10", 8, 10),
      hinge("c13", 5, 13),
      hinge("c17_margin", 3, 17, 0.25f),
      hinge("c127", 4, 127),
      hinge("c10_wide_margin", 3, 10, 5.0f),
      hinge("batch17", 17, 5),
      hinge("margin0", 4, 7, 0.0f),
      large(hinge("c1000", 16, 1000)),
  };
}

std::vector<OpCase> distance_cases() {
  using enum DistanceKind;
  return {
      distance("l1_c1", l1, {2, 1, 3, 3}),
      distance("l1_c13", l1, {3, 13, 1, 1}),
      distance("l1_c3_image", l1, {2, 3, 4, 5}),
      distance("l2_c1", l2, {1, 1, 1, 1}),
      distance("l2_c17", l2, {2, 17, 2, 2}),
      distance("l2_c127", l2, {2, 127, 1, 1}),
      distance("l2_c3_image", l2, {2, 3, 5, 4}),
      distance("smooth_l1_c3", smooth_l1, {2, 3, 3, 3}),
      distance("smooth_l1_c13_beta", smooth_l1, {2, 13, 2, 2}, 0.5f),
      distance("smooth_l1_batch1", smooth_l1, {1, 17, 3, 3}, 2.0f),
      large(distance("l2_large", l2, {8, 32, 16, 16})),
  };
}

std::vector<OpCase> bce_cases() {
  return {
      bce("c1", {4, 1, 1, 1}),
      bce("c1_batch1", {1, 1, 1, 1}),
      bce("c3", {3, 3, 1, 1}),
      bce("c13", {2, 13, 1, 1}),
      bce("c17", {5, 17, 1, 1}),
      bce("c127", {2, 127, 1, 1}),
      bce("image_c1", {2, 1, 4, 5}),
      bce("image_c3", {2, 3, 3, 3}),
      bce("image_c17", {1, 17, 2, 2}),
      bce("nonsquare", {1, 2, 1, 9}),
      large(bce("large", {8, 16, 16, 16})),
  };
}

std::vector<OpCase> topk_count_cases() {
  return {
      topk("c1", 3, 1, 1),
      topk("c2", 5, 2, 1),
      topk("c3_k2", 7, 3, 2),
      topk("c10_k5", 16, 10, 5),
      topk("c13_k3", 9, 13, 3),
      topk("c17_k5", 33, 17, 5),
      topk("c127_k5", 12, 127, 5),
      topk("k_over_classes", 6, 4, 9),
      topk("batch1", 1, 10, 5),
      topk("batch257", 257, 10, 5),
      large(topk("c1000", 64, 1000, 5)),
  };
}

}  // namespace daybreak::detail
