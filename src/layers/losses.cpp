#include <fmt/format.h>

#include <algorithm>

#include "layers/layer_list.h"
#include "ops/bce.h"
#include "ops/distance.h"
#include "ops/hinge.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"

// Losses end a network. Those over classes read labels and count correct answers too; the others
// read a target of the prediction's shape.

namespace daybreak {
namespace {

constexpr int kTopK = 5;

struct SoftmaxLossOptions {
  float label_smoothing = 0.0f;
};

struct HingeLossOptions {
  float margin = 1.0f;
};

struct SmoothL1Options {
  float beta = 1.0f;
};

void check_scores(const LayerBuilder& b, ValueId scores) {
  const Shape& shape = b.shape(scores);
  if (shape.spatial() != 1 || shape.c < 2) {
    b.fail(
        fmt::format("needs one score for each of at least 2 classes, K x 1 x 1, found {}; put "
                    "a linear layer or an average pool before it",
                    b.show(scores)));
  }
  const BuildOptions& options = b.options();
  if (options.classes > 0 && options.classes != shape.c) {
    b.fail(fmt::format("the network gives {} classes, {}, but {} has {}", shape.c, b.show(scores),
                       options.classes_source.empty() ? "the data set" : options.classes_source,
                       options.classes));
  }
}

template <typename Op>
void add_label_loss(LayerBuilder& b, const Op& op) {
  const ValueId scores = b.input();
  check_scores(b, scores);
  const int classes = b.shape(scores).c;
  const ValueId labels = b.graph_input(InputRole::labels, {1, 1, 1, 1}, DType::i32, "labels");
  const ValueId loss = b.add(op, {scores, labels});
  TopkCount topk;
  topk.k = std::min(kTopK, classes);
  Graph& graph = b.graph();
  graph.topk = b.add(topk, {scores, labels}, "topk");
  graph.loss = loss;
  graph.classes = classes;
  b.output(loss);
}

template <typename Op>
void add_target_loss(LayerBuilder& b, const Op& op) {
  const ValueId x = b.input();
  const ValueId target = b.graph_input(InputRole::target, b.shape(x), DType::f32, "target");
  b.graph().loss = b.add(op, {x, target});
}

void lower_softmax_loss(const SoftmaxLossOptions& options, LayerBuilder& b) {
  SoftmaxXent op;
  op.label_smoothing = options.label_smoothing;
  add_label_loss(b, op);
}

void lower_hinge_loss(const HingeLossOptions& options, LayerBuilder& b) {
  Hinge op;
  op.margin = options.margin;
  add_label_loss(b, op);
}

template <DistanceKind kKind>
void lower_distance(const NoOptions&, LayerBuilder& b) {
  Distance op;
  op.distance = kKind;
  add_target_loss(b, op);
}

void lower_smooth_l1(const SmoothL1Options& options, LayerBuilder& b) {
  Distance op;
  op.distance = DistanceKind::smooth_l1;
  op.beta = options.beta;
  add_target_loss(b, op);
}

void lower_bce(const NoOptions&, LayerBuilder& b) {
  add_target_loss(b, Bce{});
}

}  // namespace

LayerType softmax_loss_layer() {
  static const Schema<SoftmaxLossOptions> kSchema{
      field("label_smoothing", &SoftmaxLossOptions::label_smoothing)
          .at_least(0)
          .below(1)
          .doc("share of the target spread over all classes (Szegedy et al. 2016)")};
  return make_layer_type("softmax_loss", "softmax and cross-entropy with the labels", kSchema,
                         &lower_softmax_loss)
      .is_loss();
}

LayerType hinge_loss_layer() {
  static const Schema<HingeLossOptions> kSchema{field("margin", &HingeLossOptions::margin)
                                                    .above(0)
                                                    .at_most(1e6)
                                                    .doc("by how much the right score must lead")};
  return make_layer_type("hinge_loss", "multiclass support vector machine", kSchema,
                         &lower_hinge_loss)
      .is_loss();
}

LayerType mse_loss_layer() {
  return make_layer_type("mse_loss", "mean squared distance to the target", no_options(),
                         &lower_distance<DistanceKind::l2>)
      .is_loss();
}

LayerType l1_loss_layer() {
  return make_layer_type("l1_loss", "mean distance to the target", no_options(),
                         &lower_distance<DistanceKind::l1>)
      .is_loss();
}

LayerType smooth_l1_loss_layer() {
  static const Schema<SmoothL1Options> kSchema{field("beta", &SmoothL1Options::beta)
                                                   .above(0)
                                                   .at_most(1e6)
                                                   .doc("distance below which it is quadratic")};
  return make_layer_type("smooth_l1_loss",
                         "mean distance to the target, quadratic near 0 (Girshick 2015)", kSchema,
                         &lower_smooth_l1)
      .is_loss();
}

LayerType bce_loss_layer() {
  return make_layer_type("bce_loss",
                         "binary cross-entropy of each number, as a logit, with the target",
                         no_options(), &lower_bce)
      .is_loss();
}

}  // namespace daybreak
