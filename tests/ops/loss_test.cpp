#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/bce.h"
#include "ops/distance.h"
#include "ops/hinge.h"
#include "ops/softmax.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"
#include "support/op_data.h"

// Vectors of semantics.md, section 5.

namespace daybreak {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

OpResult run(const Op& op, std::vector<std::vector<double>> inputs, double dy = 1.0) {
  OpData data;
  const int samples = op.kind() == OpKind::bce || op.kind() == OpKind::distance
                          ? 1
                          : static_cast<int>(inputs[1].size());
  for (auto& values : inputs) {
    const int per_sample = static_cast<int>(values.size()) / samples;
    data.x.push_back({{samples, per_sample, 1, 1}, std::move(values)});
  }
  data.dy = {op.infer(std::vector<Shape>{data.x[0].shape, data.x[1].shape}), {dy}};
  data.dy.v.resize(data.dy.shape.count());
  const Want want = is_differentiable(op, 2) ? Want::backward : Want::forward;
  return run_reference(op, data, Mode::train, DType::f64, want);
}

double value(const Op& op, std::vector<std::vector<double>> inputs) {
  return run(op, std::move(inputs)).y.v[0];
}

const std::vector<double> kScores = {2.0, 1.0, -1.0};

auto near(std::vector<double> expected) {
  return Pointwise(DoubleNear(1e-6), expected);
}

TEST(SoftmaxXentLoss, VectorOfSemantics) {
  const OpResult plain = run(SoftmaxXent{}, {kScores, {0}});
  EXPECT_NEAR(plain.y.v[0], 0.349012, 1e-6);
  EXPECT_THAT(plain.dx[0].v, near({-0.294615, 0.259496, 0.035119}));

  SoftmaxXent smooth;
  smooth.label_smoothing = 0.1f;
  const OpResult result = run(smooth, {kScores, {0}});
  EXPECT_NEAR(result.y.v[0], 0.482346, 1e-6);
  EXPECT_THAT(result.dx[0].v, near({-0.227949, 0.226163, 0.00178569}));
}

TEST(SoftmaxXentLoss, IsTheMeanOverTheBatchAndScalesWithDy) {
  const OpResult one = run(SoftmaxXent{}, {kScores, {0}});
  const OpResult two = run(SoftmaxXent{}, {{2, 1, -1, 2, 1, -1}, {0, 0}}, 3.0);
  EXPECT_NEAR(two.y.v[0], one.y.v[0], 1e-12);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(two.dx[0].v[i], 1.5 * one.dx[0].v[i], 1e-12);
}

TEST(SoftmaxXentLoss, UntrainedNetworkLosesTheLogOfTheClasses) {
  for (const int classes : {10, 100, 1000}) {
    const std::vector<double> zeros(classes, 0.0);
    EXPECT_NEAR(value(SoftmaxXent{}, {zeros, {0}}), std::log(classes), 1e-12);
  }
}

TEST(SoftmaxXentLoss, SurvivesHugeScores) {
  const OpResult result = run(SoftmaxXent{}, {{1e4, -1e4, 0.0}, {1}});
  EXPECT_NEAR(result.y.v[0], 2e4, 1e-6);
  EXPECT_THAT(result.dx[0].v, near({1.0, -1.0, 0.0}));
}

TEST(SoftmaxXentLoss, ShowsNonFiniteScores) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(value(SoftmaxXent{}, {{1.0, nan, 0.0}, {0}})));
  EXPECT_FALSE(std::isfinite(value(Hinge{}, {{1.0, nan, 0.0}, {0}})));
}

TEST(HingeLoss, VectorOfSemantics) {
  EXPECT_NEAR(value(Hinge{}, {kScores, {0}}), 0.0, 1e-12);
  const OpResult result = run(Hinge{}, {kScores, {1}});
  EXPECT_NEAR(result.y.v[0], 2.0, 1e-12);
  EXPECT_THAT(result.dx[0].v, near({1.0, -1.0, 0.0}));
}

TEST(DistanceLoss, VectorsOfSemantics) {
  const std::vector<double> d = {0.2, -0.5, 1.0, -3.0}, zeros(4, 0.0);
  const auto one_by_one = [&](const Distance& op) {
    std::vector<double> values;
    for (const double x : d) values.push_back(value(op, {{x}, {0.0}}));
    return values;
  };
  Distance op;
  op.distance = DistanceKind::smooth_l1;
  EXPECT_THAT(one_by_one(op), near({0.02, 0.125, 0.5, 2.5}));
  op.beta = 0.5f;
  EXPECT_THAT(one_by_one(op), near({0.04, 0.25, 0.75, 2.75}));
  op.distance = DistanceKind::l1;
  EXPECT_THAT(one_by_one(op), near({0.2, 0.5, 1.0, 3.0}));
  EXPECT_NEAR(value(op, {d, zeros}), 4.7 / 4.0, 1e-12);
  op.distance = DistanceKind::l2;
  EXPECT_THAT(one_by_one(op), near({0.04, 0.25, 1.0, 9.0}));
}

TEST(DistanceLoss, DerivativesAtTheirCorners) {
  Distance op;
  op.distance = DistanceKind::l1;
  OpResult result = run(op, {{0.0, 2.0, -2.0, 1.0}, {0.0, 1.0, 0.0, 1.0}});
  EXPECT_THAT(result.dx[0].v, near({0.0, 0.25, -0.25, 0.0}));
  EXPECT_THAT(result.dx[1].v, near({0.0, -0.25, 0.25, 0.0}));
  op.distance = DistanceKind::smooth_l1;
  op.beta = 0.5f;
  result = run(op, {{0.5, -0.5, 0.25, 0.0}, {0.0, 0.0, 0.0, 0.0}});
  EXPECT_THAT(result.dx[0].v, near({0.25, -0.25, 0.125, 0.0}));
}

TEST(BceLoss, VectorOfSemantics) {
  EXPECT_NEAR(value(Bce{}, {{2.0}, {1.0}}), 0.126928, 1e-6);
  EXPECT_NEAR(value(Bce{}, {{1.0}, {0.0}}), 1.31326, 1e-5);
  EXPECT_NEAR(value(Bce{}, {{-1.0}, {0.0}}), 0.313262, 1e-6);
  const OpResult result = run(Bce{}, {kScores, {1.0, 0.0, 0.0}}, 3.0);
  EXPECT_NEAR(result.y.v[0], 0.584484, 1e-6);
  EXPECT_THAT(result.dx[0].v, near({-0.119203, 0.731059, 0.268941}));
  EXPECT_NEAR(value(Bce{}, {{100.0}, {0.0}}), 100.0, 1e-9);
  EXPECT_NEAR(value(Bce{}, {{-1000.0}, {1.0}}), 1000.0, 1e-9);
}

TEST(SoftmaxOp, VectorOfSemantics) {
  OpData data;
  data.x = {{{1, 3, 1, 1}, kScores}};
  data.dy = {{1, 3, 1, 1}, {0.0, 0.0, 0.0}};
  const OpResult result = run_reference(Softmax{}, data, Mode::eval, DType::f64, Want::forward);
  EXPECT_THAT(result.y.v, near({0.705385, 0.259496, 0.035119}));
}

std::vector<double> counts(int k, std::vector<double> scores, std::vector<double> labels) {
  TopkCount op;
  op.k = k;
  return run(op, {std::move(scores), std::move(labels)}).y.v;
}

TEST(TopkCountOp, RanksWithTiesByIndex) {
  EXPECT_THAT(counts(2, {1, 3, 2}, {1}), ElementsAre(1, 1));
  EXPECT_THAT(counts(2, {1, 3, 2}, {2}), ElementsAre(0, 1));
  EXPECT_THAT(counts(2, {1, 3, 2}, {0}), ElementsAre(0, 0));
  EXPECT_THAT(counts(2, {5, 5, 5}, {0}), ElementsAre(1, 1));
  EXPECT_THAT(counts(2, {5, 5, 5}, {1}), ElementsAre(0, 1));
  EXPECT_THAT(counts(2, {5, 5, 5}, {2}), ElementsAre(0, 0));
  EXPECT_THAT(counts(9, {1, 3, 2, 1, 2, 3}, {0, 2}), ElementsAre(1, 2));
}

TEST(TopkCountOp, NonFiniteScoresAreWrong) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, inf, -inf}) {
    EXPECT_THAT(counts(3, {bad, 3, 2}, {0}), ElementsAre(0, 0));
    EXPECT_THAT(counts(3, {bad, 3, 2}, {1}), ElementsAre(0, 0));
    EXPECT_THAT(counts(3, {3, 2, bad, 3, 2, 1}, {0, 0}), ElementsAre(1, 1));
  }
}

}  // namespace
}  // namespace daybreak
