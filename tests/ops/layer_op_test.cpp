#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/philox.h"
#include "ops/act.h"
#include "ops/adaptive_avgpool.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "ops/input_u8.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/upsample.h"
#include "support/op_data.h"

// Values computed by hand or given in semantics.md, sections 3.3, 3.4 and 6.6.

namespace daybreak {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::Pointwise;

auto near(std::vector<double> expected) {
  return Pointwise(DoubleNear(1e-5), expected);
}

OpResult run(const Op& op, HostTensor x, std::vector<double> dy, std::vector<HostTensor> w = {},
             Mode mode = Mode::train) {
  OpData data;
  data.x = {std::move(x)};
  data.w = std::move(w);
  data.dy = {op.infer(std::vector<Shape>{data.x[0].shape}), std::move(dy)};
  const bool backward = !data.dy.v.empty();
  data.dy.v.resize(data.dy.shape.count());
  return run_reference(op, data, mode, DType::f64, backward ? Want::backward : Want::forward);
}

std::vector<double> forward(const Op& op, HostTensor x, Mode mode = Mode::train) {
  return run(op, std::move(x), {}, {}, mode).y.v;
}

HostTensor vector_of(std::vector<double> v) {
  return {{1, static_cast<int>(v.size()), 1, 1}, v};
}
HostTensor row(std::vector<double> v) {
  return {{1, 1, 1, static_cast<int>(v.size())}, v};
}

TEST(BatchNormOp, VectorOfSemantics) {
  for (const auto& [momentum, running_var] : {std::pair{0.01f, 1.02333}, {0.1f, 1.23333}}) {
    BatchNorm op;
    op.momentum = momentum;
    op.eps = 1e-5f;
    const OpResult r = run(op, {{4, 1, 1, 1}, {1, 2, 4, 5}}, {1, 0, 0, 0},
                           {vector_of({1}), vector_of({0}), vector_of({0}), vector_of({1})});
    EXPECT_THAT(r.y.v, near({-1.26491, -0.632454, 0.632454, 1.26491}));
    EXPECT_NEAR(r.w[2].v[0], 3.0 * momentum, 1e-6);
    EXPECT_NEAR(r.w[3].v[0], running_var, 1e-5);
    EXPECT_THAT(r.dx[0].v, near({0.22136, -0.284604, -0.0316232, 0.0948671}));
    EXPECT_NEAR(r.dw[0].v[0], -1.26491, 1e-5);
    EXPECT_NEAR(r.dw[1].v[0], 1.0, 1e-12);
    EXPECT_TRUE(r.dw[2].v.empty() && r.dw[3].v.empty()) << "statistics have no gradient";
  }
}

TEST(BatchNormOp, EvaluationUsesTheRunningStatisticsAndKeepsThem) {
  BatchNorm op;
  op.eps = 0.0f;
  const OpResult r =
      run(op, {{2, 1, 1, 2}, {1, 3, 5, 7}}, {},
          {vector_of({2}), vector_of({10}), vector_of({1}), vector_of({4})}, Mode::eval);
  EXPECT_THAT(r.y.v, ElementsAre(10, 12, 14, 16));
  EXPECT_EQ(r.w[2].v[0], 1.0);
  EXPECT_EQ(r.w[3].v[0], 4.0);
}

TEST(BatchNormOp, NormalisesEveryChannelByItself) {
  BatchNorm op;
  op.affine = false;
  const OpResult r =
      run(op, {{2, 2, 1, 1}, {1, 100, 3, 300}}, {}, {vector_of({0, 0}), vector_of({1, 1})});
  EXPECT_THAT(r.y.v, near({-1, -1, 1, 1}));
  EXPECT_THAT(r.w[0].v, near({0.2, 20}));
}

TEST(PadOp, RowsOfSemantics) {
  const HostTensor x = row({0, 1, 2, 3, 4, 5, 6, 7});
  Pad op;
  op.left = op.right = 4;
  op.pad = PadKind::symmetric;
  EXPECT_THAT(forward(op, x), ElementsAre(3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 6, 5, 4));
  op.pad = PadKind::reflect;
  EXPECT_THAT(forward(op, x), ElementsAre(4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3));
  op.pad = PadKind::zero;
  op.right = 0;
  EXPECT_THAT(forward(op, x), ElementsAre(0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(PadOp, GradientsOfReflectedPixelsAdd) {
  Pad op;
  op.pad = PadKind::reflect;
  op.left = 2;
  const OpResult r = run(op, row({0, 0, 0}), {1, 10, 100, 1000, 10000});
  EXPECT_THAT(r.dx[0].v, ElementsAre(100, 1010, 10001));
}

TEST(UpsampleOp, BilinearRowHasHalfPixelCentres) {
  Upsample op;
  op.upsample = UpsampleKind::bilinear;
  // Positions -.25, .25, .75, 1.25, ...: borders are clamped.
  EXPECT_THAT(forward(op, {{1, 1, 1, 3}, {1, 4, 2}}),
              near({1, 1.75, 3.25, 3.5, 2.5, 2, 1, 1.75, 3.25, 3.5, 2.5, 2}));
  // semantics.md, 6.6: row 0, 1, 4, 2 to 6 pixels by half-pixel centres.
  op.scale = 3;
  const auto wide = forward(op, {{1, 1, 1, 4}, {0, 1, 4, 2}});
  const std::vector<double> six = {0, 0.5, 1.5, 3.5, 3, 2};
  for (int i = 0; i < 6; ++i) {
    // The centre of pixel i of 6 is the middle of pixels 2i and 2i + 1 of 12, which always lie on
    // the same straight piece.
    EXPECT_NEAR((wide[2 * i] + wide[2 * i + 1]) / 2.0, six[i], 1e-12) << i;
  }
}

TEST(UpsampleOp, NearestRepeatsAndSumsGradients) {
  Upsample op;
  const OpResult r = run(op, row({1, 2}), {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(r.y.v, ElementsAre(1, 1, 2, 2, 1, 1, 2, 2));
  EXPECT_THAT(r.dx[0].v, ElementsAre(14, 22));
}

TEST(PoolOp, MaximumIsTheFirstOfEqualsAndNeverPadding) {
  Pool op;
  op.size_h = op.size_w = 2;
  const OpResult tie = run(op, {{1, 1, 2, 2}, {5, 5, 5, 5}}, {7});
  EXPECT_THAT(tie.dx[0].v, ElementsAre(7, 0, 0, 0));

  op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = 1;
  EXPECT_THAT(forward(op, {{1, 1, 2, 2}, {-1, -2, -3, -4}}), ElementsAre(-1, -2, -3, -4));
}

TEST(PoolOp, MaximumKeepsNaN) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Pool op;
  EXPECT_TRUE(std::isnan(forward(op, {{1, 1, 2, 2}, {9, nan, 1, 2}})[0]));
  EXPECT_TRUE(std::isnan(forward(op, {{1, 1, 2, 2}, {nan, 9, 1, 2}})[0]));
}

TEST(PoolOp, AverageCountsPaddingOrNot) {
  Pool op;
  op.pool = PoolKind::average;
  op.size_h = 1, op.stride_h = 1;
  op.size_w = 2, op.stride_w = 2;
  op.pad_left = 1;
  EXPECT_THAT(forward(op, row({4, 6, 8})), ElementsAre(2, 7));
  op.count_padding = false;
  EXPECT_THAT(forward(op, row({4, 6, 8})), ElementsAre(4, 7));
}

TEST(PoolOp, CeilModeDoesNotCountWhatLiesBeyondThePadding) {
  Pool op;
  op.pool = PoolKind::average;
  op.size_h = op.stride_h = 1;
  op.size_w = op.stride_w = 2;
  op.ceil_mode = true;
  EXPECT_THAT(forward(op, row({4, 6, 8})), ElementsAre(5, 8));
  op.pad_left = 1;  // the leading padding counts, what follows the last pixel does not
  EXPECT_THAT(forward(op, row({4, 6, 8, 10})), ElementsAre(2, 7, 10));

  Pool column;
  column.pool = PoolKind::average;
  column.size_w = column.stride_w = 1;
  column.ceil_mode = true;
  column.pad_top = 1;
  EXPECT_THAT(forward(column, {{1, 1, 4, 1}, {4, 6, 8, 10}}), ElementsAre(2, 7, 10));
}

TEST(AdaptiveAvgPoolOp, WindowsOverlapWhenSizesDoNotDivide) {
  AdaptiveAvgPool op;
  op.out_h = 1;
  op.out_w = 2;
  EXPECT_THAT(forward(op, row({1, 2, 6})), ElementsAre(1.5, 4));
  op.out_w = 3;
  EXPECT_THAT(forward(op, row({2, 4})), ElementsAre(2, 3, 4));
}

TEST(ActOp, DerivativesAtZeroAreThoseOfTheNegativeSide) {
  Act op;
  op.act = {ActKind::leaky, 0.25f};
  EXPECT_THAT(run(op, row({-2, 0, 2}), {1, 1, 1}).dx[0].v, ElementsAre(0.25, 0.25, 1));
  EXPECT_THAT(forward(op, row({-2, 0, 2})), ElementsAre(-0.5, 0, 2));
  op.act = {ActKind::relu};
  EXPECT_THAT(run(op, row({-2, 0, 2}), {1, 1, 1}).dx[0].v, ElementsAre(0, 0, 1));
  EXPECT_TRUE(std::isnan(forward(op, row({std::numeric_limits<double>::quiet_NaN()}))[0]));
}

TEST(InputU8Op, VectorsOfSemantics) {
  InputU8 op;  // CIFAR-10
  op.mean = {0.4914f, 0.48216f, 0.44653f};
  op.std = {0.24703f, 0.24349f, 0.26159f};
  const HostTensor x{{1, 3, 1, 3}, {128, 0, 255, 128, 0, 255, 128, 0, 255}};
  EXPECT_THAT(forward(op, x), near({0.042751, -1.98923, 2.05886, 0.0813207, -1.9802, 2.12674,
                                    0.211899, -1.70698, 2.11579}));
  op.mean = {0.2860406f};
  op.std = {0.3530242f};
  EXPECT_THAT(forward(op, row({128})), near({0.61163}));
}

TEST(InputU8Op, ReadsPixelByPixelAndReverses) {
  InputU8 op;
  op.mean = {0, 0, 0};
  op.std = {1, 1, 1};
  op.scale = 1.0f;
  const HostTensor x{{1, 3, 1, 2}, {1, 2, 3, 4, 5, 6}};
  EXPECT_THAT(forward(op, x), ElementsAre(1, 2, 3, 4, 5, 6));
  op.reverse_channels = true;
  EXPECT_THAT(forward(op, x), ElementsAre(5, 6, 3, 4, 1, 2));
}

TEST(DropoutOp, MaskIsThatOfTheDraws) {
  Dropout op;
  op.p = 0.25f;
  op.salt = 5;
  OpData data = make_data(op, {{3, 4, 2, 2}}, Fill::real, 1);
  data.scalars.seed = 77;
  data.scalars.step = 9;
  const OpResult r = run_reference(op, data, Mode::train, DType::f64, Want::backward);
  int dropped = 0;
  for (std::uint64_t n = 0; n < 3; ++n) {
    Draws draws(77, Purpose::dropout, 9, (std::uint64_t{5} << 32) + n);
    for (std::size_t i = n * 16; i < (n + 1) * 16; ++i) {
      const bool drop = draws.uniform() < 0.25f;
      dropped += drop ? 1 : 0;
      EXPECT_NEAR(r.y.v[i], drop ? 0.0 : data.x[0].v[i] / 0.75, 1e-12);
      EXPECT_NEAR(r.dx[0].v[i], drop ? 0.0 : data.dy.v[i] / 0.75, 1e-12);
    }
  }
  EXPECT_GT(dropped, 3);
  EXPECT_LT(dropped, 24);
}

TEST(DropoutOp, MaskChangesWithStepSeedAndSalt) {
  Dropout op;
  const OpData data = make_data(op, {{1, 64, 1, 1}}, Fill::real, 1);
  const auto y = [&](auto change) {
    OpData other = data;
    Dropout changed = op;
    change(other.scalars, changed);
    return run_reference(changed, other, Mode::train, DType::f32, Want::forward).y.v;
  };
  const auto base = y([](auto&, auto&) {});
  EXPECT_EQ(base, y([](auto&, auto&) {}));
  EXPECT_NE(base, y([](StepScalars& s, auto&) { ++s.step; }));
  EXPECT_NE(base, y([](StepScalars& s, auto&) { ++s.seed; }));
  EXPECT_NE(base, y([](auto&, Dropout& d) { ++d.salt; }));
  EXPECT_EQ(run_reference(op, data, Mode::eval, DType::f64, Want::forward).y.v, data.x[0].v);
}

TEST(Conv2dOp, IsACrossCorrelation) {
  Conv2d op;
  op.kernel_h = 1, op.kernel_w = 3;
  op.pad_h = 0, op.pad_w = 1;
  const OpResult r =
      run(op, row({1, 2, 3}), {1, 0, 0}, {{{1, 1, 1, 3}, {100, 10, 1}}, vector_of({0.5})});
  EXPECT_THAT(r.y.v, ElementsAre(12.5, 123.5, 230.5));
  EXPECT_THAT(r.dx[0].v, ElementsAre(10, 1, 0));
  EXPECT_THAT(r.dw[0].v, ElementsAre(0, 1, 2));
  EXPECT_THAT(r.dw[1].v, ElementsAre(1));
}

}  // namespace
}  // namespace daybreak
