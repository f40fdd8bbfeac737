#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/act.h"
#include "ops/adaptive_avgpool.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/bce.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/conv2d_transpose.h"
#include "ops/distance.h"
#include "ops/dropout.h"
#include "ops/hinge.h"
#include "ops/input_u8.h"
#include "ops/linear.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/reshape.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"
#include "ops/upsample.h"

namespace daybreak {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Number of windows that fit, counted one by one; the definition behind window_output.
int counted_windows(int in, int reach, int stride, int before, int after, bool ceil_mode) {
  int count = 0;
  for (int start = -before;; start += stride) {
    const bool fits = start + reach <= in + after;
    // In ceil mode a window may hang over the end, once, if it starts before the trailing padding.
    const bool hangs = ceil_mode && start < in && start - stride + reach < in + after;
    if (!fits && !(hangs && count > 0)) return count;
    ++count;
  }
}

TEST(WindowOutput, EqualsCountingWindows) {
  int checked = 0;
  for (int in = 1; in <= 9; ++in)
    for (int size = 1; size <= 4; ++size)
      for (int dilation = 1; dilation <= 2; ++dilation)
        for (int stride = 1; stride <= 4; ++stride)
          for (int before = 0; before < 3; ++before)
            for (int after = 0; after < 3; ++after)
              for (const bool ceil_mode : {false, true}) {
                const int reach = dilation * (size - 1) + 1;
                if (reach > in + before + after) continue;
                ++checked;
                ASSERT_EQ(window_output(in, size, stride, before, after, dilation, ceil_mode),
                          counted_windows(in, reach, stride, before, after, ceil_mode))
                    << in << " size " << size << "/" << stride << " pad " << before << "," << after
                    << " dilation " << dilation << " ceil " << ceil_mode;
              }
  EXPECT_GT(checked, 4000);
}

TEST(WindowOutput, KnownValues) {
  EXPECT_EQ(window_output(32, 3, 1, 1, 1, 1, false), 32);
  EXPECT_EQ(window_output(32, 3, 2, 1, 1, 1, false), 16);
  EXPECT_EQ(window_output(224, 7, 2, 3, 3, 1, false), 112);
  EXPECT_EQ(window_output(13, 3, 2, 0, 0, 1, true), 6);
  EXPECT_EQ(window_output(54, 3, 2, 0, 0, 1, true), 27);
  EXPECT_EQ(window_output(4, 2, 3, 1, 1, 1, true), 2);
}

TEST(WindowOutput, RefusesWhatDoesNotFit) {
  EXPECT_THROW(window_output(2, 4, 1, 0, 1, 1, false), ShapeError);
  EXPECT_THROW(window_output(4, 3, 1, 0, 0, 2, false), ShapeError);
  EXPECT_THROW(window_output(4, 0, 1, 0, 0, 1, false), ShapeError);
  EXPECT_THROW(window_output(4, 1, 0, 0, 0, 1, false), ShapeError);
  EXPECT_THROW(window_output(4, 1, 1, -1, 0, 1, false), ShapeError);
  EXPECT_THROW(window_output(4, 1, 1, 0, 0, 0, false), ShapeError);
  EXPECT_THROW(window_output(2147483647, 1, 1, 2147483647, 0, 1, false), ShapeError);
}

template <typename T>
T make(const std::function<void(T&)>& configure) {
  T op;
  configure(op);
  return op;
}

std::string error_of(const Op& op, const std::vector<Shape>& inputs) {
  try {
    const Shape shape = op.infer(inputs);
    return "accepted: " + to_string(shape);
  } catch (const ShapeError& error) {
    return error.what();
  }
}

constexpr Shape kPicture{2, 8, 6, 6};
const std::vector<Shape> kScores = {{4, 10, 1, 1}, {4, 1, 1, 1}};

TEST(ShapeErrors, WindowsAndGroups) {
  EXPECT_THAT(error_of(make<Conv2d>([](auto& op) { op.groups = 3; }), {kPicture}),
              HasSubstr("groups 3 must divide the input channels 8"));
  EXPECT_THAT(error_of(make<Conv2d>([](auto& op) { op.kernel_h = 9; }), {kPicture}),
              HasSubstr("a window of 9 does not fit into 8 (input 6, padding 1 and 1)"));
  EXPECT_THAT(error_of(make<Conv2d>([](auto& op) { op.out_channels = 0; }), {kPicture}),
              HasSubstr("output channels is 0"));
  EXPECT_THAT(error_of(make<Conv2dTranspose>([](auto& op) { op.pad_h = 40; }), {kPicture}),
              HasSubstr("padding 40 is too large"));
  EXPECT_THAT(error_of(make<Conv2dTranspose>([](auto& op) { op.output_pad_w = 2; }), {kPicture}),
              HasSubstr("output padding 2 must be smaller"));
  EXPECT_THAT(error_of(make<Pool>([](auto& op) { op.pad_left = 2; }), {kPicture}),
              HasSubstr("padding 2 must be smaller than the window 2"));
  EXPECT_THAT(
      error_of(make<Pad>([](auto& op) { op.pad = PadKind::reflect, op.top = 6; }), {kPicture}),
      HasSubstr("reflect padding 6 needs a height larger"));
  EXPECT_THAT(
      error_of(make<Pad>([](auto& op) { op.pad = PadKind::symmetric, op.right = 7; }), {kPicture}),
      HasSubstr("symmetric padding 7 needs a width"));
  EXPECT_THAT(
      error_of(make<Pad>([](auto& op) { op.pad = PadKind::reflect, op.left = -1; }), {kPicture}),
      HasSubstr("padding is -1"));
}

TEST(ShapeErrors, InputsThatDoNotFitTogether) {
  EXPECT_THAT(error_of(Add{}, {kPicture, {2, 8, 6, 5}}), HasSubstr("got 8 x 6 x 6 and 8 x 6 x 5"));
  EXPECT_THAT(error_of(Add{}, {kPicture, {3, 8, 6, 6}}), HasSubstr("batch 2 and 3"));
  EXPECT_THAT(error_of(Add{}, {kPicture}), HasSubstr("'add' takes 2 inputs, got 1"));
  EXPECT_THAT(error_of(Concat{}, {kPicture}), HasSubstr("takes 2 to 64 inputs, got 1"));
  EXPECT_THAT(error_of(Concat{}, {kPicture, {2, 3, 6, 7}}), HasSubstr("height and width"));
  EXPECT_THAT(error_of(Act{}, {{2, 0, 3, 3}}), HasSubstr("empty input"));
  EXPECT_THAT(error_of(SoftmaxXent{}, {kPicture, {2, 1, 1, 1}}), HasSubstr("K x 1 x 1"));
  EXPECT_THAT(error_of(Hinge{}, {{4, 10, 1, 1}, {3, 1, 1, 1}}),
              HasSubstr("one label for each of 4 samples"));
  EXPECT_THAT(error_of(Bce{}, {kPicture, {2, 7, 6, 6}}), HasSubstr("equal shapes"));
}

TEST(ShapeErrors, AttributesOutOfRange) {
  EXPECT_THAT(error_of(make<Dropout>([](auto& op) { op.p = 1.0f; }), {kPicture}),
              HasSubstr("must be in [0, 1)"));
  EXPECT_THAT(error_of(make<SoftmaxXent>([](auto& op) { op.label_smoothing = -0.1f; }), kScores),
              HasSubstr("label smoothing is -0.1"));
  EXPECT_THAT(error_of(make<TopkCount>([](auto& op) { op.k = 0; }), kScores), HasSubstr("k is 0"));
  EXPECT_THAT(error_of(make<Upsample>([](auto& op) { op.scale = 0; }), {kPicture}),
              HasSubstr("scale is 0"));
  EXPECT_THAT(error_of(make<Distance>([](auto& op) {
                         op.distance = DistanceKind::smooth_l1;
                         op.beta = 0.0f;
                       }),
                       {kPicture, kPicture}),
              HasSubstr("beta is 0"));
  EXPECT_THAT(error_of(InputU8{}, {kPicture}), HasSubstr("8 channels, but there are 0 means"));
  EXPECT_THAT(error_of(make<Act>([](auto& op) {
                         op.act = {ActKind::leaky, -0.5f};
                       }),
                       {kPicture}),
              HasSubstr("slope is -0.5"));
}

TEST(ShapeErrors, SizesThatWouldOverflow) {
  const Shape wide{1, 1, 2000000000, 1};
  EXPECT_THAT(error_of(make<Upsample>([](auto& op) { op.scale = 1000; }), {wide}),
              HasSubstr("larger than 2^40"));
  EXPECT_THAT(error_of(make<Pad>([](auto& op) { op.top = 2147483647; }), {wide}),
              HasSubstr("larger than 2^40"));
  EXPECT_THAT(error_of(make<Linear>([](auto& op) { op.outputs = 2000000000; }), {wide}),
              HasSubstr("larger than 2^40"));
  EXPECT_THAT(error_of(make<AdaptiveAvgPool>([](auto& op) { op.out_h = op.out_w = 2000000000; }),
                       {kPicture}),
              HasSubstr("larger than 2^40"));
  EXPECT_THAT(error_of(make<Conv2dTranspose>([](auto& op) { op.stride_h = 2147483647; }), {wide}),
              HasSubstr("larger than 2^40"));
}

TEST(Shapes, Reshape) {
  const auto reshape = [](int c, int h, int w) {
    return make<Reshape>([=](auto& op) { op.c = c, op.h = h, op.w = w; });
  };
  EXPECT_EQ(reshape(-1, 1, 1).infer(std::vector{kPicture}), (Shape{2, 288, 1, 1}));
  EXPECT_EQ(reshape(4, -1, 9).infer(std::vector{kPicture}), (Shape{2, 4, 8, 9}));
  EXPECT_THAT(error_of(reshape(-1, -1, 1), {kPicture}), HasSubstr("only one extent"));
  EXPECT_THAT(error_of(reshape(5, -1, 1), {kPicture}), HasSubstr("cannot reshape 8 x 6 x 6"));
  EXPECT_THAT(error_of(reshape(4, 6, 6), {kPicture}), HasSubstr("(288 values) to 4 x 6 x 6"));
  EXPECT_THAT(error_of(reshape(0, 1, 1), {kPicture}), HasSubstr("extent is 0"));
  EXPECT_THAT(error_of(reshape(2147483647, 2147483647, 2), {kPicture}),
              HasSubstr("cannot reshape"));
}

TEST(Shapes, Params) {
  const std::vector<Shape> in = {kPicture};
  const auto conv = make<Conv2d>([](auto& op) { op.out_channels = 12, op.groups = 4; });
  const auto specs = conv.params(in);
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].suffix, "weight");
  EXPECT_THAT(specs[0].dims, ElementsAre(12, 2, 3, 3));
  EXPECT_EQ(specs[0].shape, (Shape{12, 2, 3, 3}));
  EXPECT_THAT(specs[1].dims, ElementsAre(12));
  EXPECT_EQ(specs[1].shape, (Shape{1, 12, 1, 1}));

  const auto transpose =
      make<Conv2dTranspose>([](auto& op) { op.out_channels = 12, op.groups = 4; });
  EXPECT_THAT(transpose.params(in)[0].dims, ElementsAre(8, 3, 4, 4));

  const auto linear = make<Linear>([](auto& op) { op.outputs = 5, op.bias = false; });
  ASSERT_EQ(linear.params(in).size(), 1u);
  EXPECT_THAT(linear.params(in)[0].dims, ElementsAre(5, 288));
  EXPECT_EQ(linear.params(in)[0].shape, (Shape{5, 288, 1, 1}));

  const auto norm = BatchNorm{}.params(in);
  ASSERT_EQ(norm.size(), 4u);
  EXPECT_EQ(norm[2].suffix, "running_mean");
  EXPECT_FALSE(is_trained(norm[3].role));
  EXPECT_EQ(make<BatchNorm>([](auto& op) { op.affine = false; }).params(in).size(), 2u);
}

TEST(Shapes, FlopsAndNames) {
  const auto conv = make<Conv2d>(
      [](auto& op) { op.out_channels = 64, op.stride_h = op.stride_w = 2, op.bias = false; });
  // semantics.md, 3.1: multiply-adds of the first strided convolution of the seed network.
  EXPECT_EQ(conv.flops(std::vector{Shape{1, 32, 32, 32}}), 2 * 64 * 16 * 16 * 32 * 9);
  EXPECT_EQ(conv.describe(), "conv 3x3/2");
  const auto transpose = make<Conv2dTranspose>([](auto& op) { op.out_channels = 3; });
  EXPECT_EQ(transpose.flops(std::vector{Shape{2, 8, 5, 5}}), 2 * 2 * 8 * 25 * 3 * 16);
  EXPECT_EQ(
      make<Linear>([](auto& op) { op.outputs = 10; }).flops(std::vector{Shape{4, 1024, 1, 1}}),
      2 * 4 * 1024 * 10);
  EXPECT_EQ(Concat{}.flops(std::vector{kPicture, kPicture}), 0);
  EXPECT_EQ(make<BatchNorm>([](auto& op) {
              op.act = {ActKind::leaky, 0.1f};
            }).describe(),
            "batchnorm + leaky 0.1");
  EXPECT_EQ(make<Pool>([](auto& op) { op.ceil_mode = true; }).describe(), "maxpool 2x2/2 ceil");
  EXPECT_EQ(Reshape{}.describe(), "flatten");
}

}  // namespace
}  // namespace daybreak
