#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/init.h"
#include "layers/build_support.h"
#include "layers/options.h"
#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/distance.h"
#include "ops/dropout.h"
#include "ops/hinge.h"
#include "ops/input_u8.h"
#include "ops/instancenorm.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"
#include "ops/upsample.h"

// What options become: attributes of ops, order of ops, start values.

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ConvLayer, PadKeepsTheSizeByDefault) {
  const auto pad = [](const std::string& options) {
    const Graph graph = build("- conv: {filters: 2, " + options + "}\n", {1, 3, 33, 33});
    const auto& op = op_of<Conv2d>(graph, OpKind::conv2d);
    return std::vector<int>{op.pad_h, op.pad_w};
  };
  EXPECT_THAT(pad("size: 1"), ElementsAre(0, 0));
  EXPECT_THAT(pad("size: 3"), ElementsAre(1, 1));
  EXPECT_THAT(pad("size: [3, 7]"), ElementsAre(1, 3));
  EXPECT_THAT(pad("size: 5, dilation: 3"), ElementsAre(6, 6));
  EXPECT_THAT(pad("size: 5, pad: same"), ElementsAre(2, 2));
  EXPECT_THAT(pad("size: 5, pad: [0, 4]"), ElementsAre(0, 4));
}

TEST(ConvLayer, AddsNormAndActivationInOrder) {
  const Graph graph = build(
      "- conv: {name: c, filters: 4, norm: {batch: {momentum: 0.01, eps: 1e-3}}, act: {leaky: "
      "0.2}}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "batchnorm", "act"));
  EXPECT_FALSE(op_of<Conv2d>(graph, OpKind::conv2d).bias);
  const auto& norm = op_of<BatchNorm>(graph, OpKind::batchnorm);
  EXPECT_FLOAT_EQ(norm.momentum, 0.01f);
  EXPECT_FLOAT_EQ(norm.eps, 1e-3f);
  EXPECT_TRUE(norm.affine);
  const auto& act = op_of<Act>(graph, OpKind::act);
  EXPECT_EQ(act.act.kind, ActKind::leaky);
  EXPECT_FLOAT_EQ(act.act.slope, 0.2f);
  EXPECT_EQ(graph.values[graph.prediction].name, "c");
}

TEST(ConvLayer, FiltersFollowTheClasses) {
  const Graph graph = build("- conv: {filters: auto}\n", {1, 3, 8, 8}, {.classes = 7});
  EXPECT_EQ(output_shape(graph).c, 7);
  EXPECT_THAT(build_errors("- conv: {filters: auto}\n"), HasSubstr("4:3: conv: \"filters: auto\""));
}

TEST(ConvLayer, DefaultsOfTheFileHold) {
  const Graph graph =
      build("- conv: {filters: 4}\n- conv: {filters: 4, act: none, size: 1}\n", {1, 3, 8, 8}, {},
            "defaults: {conv: {norm: batch, act: relu, size: 5}}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "batchnorm", "act", "conv2d", "batchnorm"));
  EXPECT_EQ(op_of<Conv2d>(graph, OpKind::conv2d).kernel_h, 5);
}

TEST(ConvLayer, GroupsMustDivide) {
  EXPECT_THAT(build_errors("- conv: {filters: 4, groups: 2}\n"), HasSubstr("groups 2 must divide"));
}

TEST(ConvTransposeLayer, OutputPadNeedsItsPad) {
  EXPECT_EQ(build_errors("- conv_transpose: {name: u, filters: 4, output_pad: 1}\n"),
            "4:53: \"output_pad\" of layer \"u\" needs \"pad\" as a number\n");
  EXPECT_EQ(build_errors("- conv_transpose: {filters: 4, output_pad: 0, pad: same}\n"), "");
}

Init weight_init(const std::string& options) {
  return param_named(build("- conv: {name: c, filters: 4, " + options + "}\n"), "c.weight").init;
}

TEST(InitOption, ChoosesKindAndGain) {
  EXPECT_EQ(weight_init("act: none").kind, InitKind::default_);
  EXPECT_FLOAT_EQ(weight_init("act: none").slope, 1.0f);
  EXPECT_FLOAT_EQ(weight_init("act: relu").slope, 0.0f);
  EXPECT_FLOAT_EQ(weight_init("act: {leaky: 0.3}").slope, 0.3f);
  EXPECT_FLOAT_EQ(weight_init("act: tanh").slope, 1.0f);
  EXPECT_EQ(weight_init("init: he").kind, InitKind::he_normal);
  EXPECT_FLOAT_EQ(weight_init("init: he").slope, 0.0f);
  EXPECT_EQ(weight_init("init: he_uniform").kind, InitKind::he_uniform);
  EXPECT_EQ(weight_init("init: xavier").kind, InitKind::xavier_normal);
  EXPECT_EQ(weight_init("init: xavier_uniform").kind, InitKind::xavier_uniform);
  EXPECT_EQ(weight_init("init: fan_in").kind, InitKind::fan_in_uniform);
  EXPECT_EQ(weight_init("init: dirac").kind, InitKind::dirac);
  EXPECT_FLOAT_EQ(weight_init("init: normal").a, 0.02f);
  EXPECT_FLOAT_EQ(weight_init("init: {normal: 0.3}").a, 0.3f);
  EXPECT_FLOAT_EQ(weight_init("init: {normal: {std: 0.3}}").a, 0.3f);
  const Init uniform = weight_init("init: {uniform: {low: -0.1, high: 0.2}}");
  EXPECT_EQ(uniform.kind, InitKind::uniform);
  EXPECT_FLOAT_EQ(uniform.a, -0.1f);
  EXPECT_FLOAT_EQ(uniform.b, 0.2f);
  EXPECT_FLOAT_EQ(weight_init("init: {constant: 0.5}").a, 0.5f);
}

TEST(InitOption, FanInStartsBiasesToo) {
  const Graph graph = build("- conv: {name: c, filters: 64, init: fan_in}\n");
  const Init& bias = param_named(graph, "c.bias").init;
  EXPECT_EQ(bias.kind, InitKind::uniform);
  EXPECT_FLOAT_EQ(bias.b, 1.0f / std::sqrt(27.0f));
  EXPECT_FLOAT_EQ(bias.a, -bias.b);
  const Graph plain = build("- conv: {name: c, filters: 64}\n");
  EXPECT_EQ(param_named(plain, "c.bias").init.kind, InitKind::default_);
}

TEST(InitOption, DepthwiseDiracIsTheIdentity) {
  const Graph graph =
      build("- conv: {name: c, filters: 3, groups: depthwise, init: dirac, bias: false}\n");
  const std::vector<float> w = initial_values(param_named(graph, "c.weight"), 1);
  ASSERT_EQ(w.size(), 27u);
  for (int i = 0; i < 27; ++i) EXPECT_EQ(w[i], i % 9 == 4 ? 1.0f : 0.0f);
}

TEST(InitOption, RefusesReversedBounds) {
  EXPECT_THAT(build_errors("- conv: {filters: 4, init: {uniform: {low: 1, high: 0}}}\n"),
              HasSubstr("must not be above"));
}

TEST(NormOption, ScaleStartsAsAsked) {
  const auto scale = [](const std::string& options) {
    const Graph graph = build("- conv: {name: c, filters: 4, norm: {batch: {" + options + "}}}\n");
    return param_named(graph, "c.norm.weight").init;
  };
  EXPECT_EQ(scale("eps: 1e-5").kind, InitKind::constant);
  EXPECT_EQ(scale("eps: 1e-5").a, 1.0f);
  EXPECT_EQ(scale("scale_init: zero").a, 0.0f);
  EXPECT_EQ(scale("scale_init: one").a, 1.0f);
  EXPECT_EQ(scale("scale_init: 0.25").a, 0.25f);
  EXPECT_EQ(scale("scale_init: uniform").kind, InitKind::uniform);
  EXPECT_EQ(scale("scale_init: uniform").a, 0.0f);
  EXPECT_EQ(scale("scale_init: uniform").b, 1.0f);
}

TEST(NormOption, InstanceHasNoScaleByDefault) {
  const Graph plain = build("- conv: {filters: 4, norm: instance}\n");
  EXPECT_FALSE(op_of<InstanceNorm>(plain, OpKind::instancenorm).affine);
  const Graph affine = build("- conv: {filters: 4, norm: {instance: {affine: true}}}\n");
  EXPECT_TRUE(op_of<InstanceNorm>(affine, OpKind::instancenorm).affine);
}

TEST(NormLayers, TakeTheSameOptions) {
  const Graph graph =
      build("- batch_norm: {name: n, momentum: 0.2, scale_init: zero, act: relu}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("batchnorm", "act"));
  EXPECT_FLOAT_EQ(op_of<BatchNorm>(graph, OpKind::batchnorm).momentum, 0.2f);
  EXPECT_EQ(param_named(graph, "n.weight").init.a, 0.0f);
  const Graph instance = build("- instance_norm: {eps: 1e-3}\n");
  EXPECT_FLOAT_EQ(op_of<InstanceNorm>(instance, OpKind::instancenorm).eps, 1e-3f);
}

TEST(ActivationLayers, SetTheFunction) {
  const auto act = [](const std::string& layer) {
    return op_of<Act>(build("- " + layer + "\n"), OpKind::act).act;
  };
  EXPECT_EQ(act("relu").kind, ActKind::relu);
  EXPECT_EQ(act("sigmoid").kind, ActKind::sigmoid);
  EXPECT_EQ(act("tanh").kind, ActKind::tanh);
  EXPECT_EQ(act("leaky").kind, ActKind::leaky);
  EXPECT_FLOAT_EQ(act("leaky").slope, 0.1f);
  EXPECT_FLOAT_EQ(act("leaky: 0.3").slope, 0.3f);
  EXPECT_EQ(act("act: sigmoid").kind, ActKind::sigmoid);
  EXPECT_FLOAT_EQ(act("act: {fn: {leaky: 0.3}}").slope, 0.3f);
}

TEST(PoolLayers, SetTheWindow) {
  const auto pool = [](const std::string& layer) {
    return op_of<Pool>(build("- " + layer + "\n"), OpKind::pool);
  };
  EXPECT_EQ(pool("maxpool: 3").pool, PoolKind::max);
  EXPECT_EQ(pool("maxpool: 3").stride_h, 3);
  EXPECT_FALSE(pool("maxpool: 3").ceil_mode);
  EXPECT_TRUE(pool("maxpool: {ceil: true}").ceil_mode);
  EXPECT_EQ(pool("avgpool").pool, PoolKind::average);
  EXPECT_TRUE(pool("avgpool").count_padding);
  EXPECT_FALSE(pool("avgpool: {count_padding: false}").count_padding);
  const Pool p = pool("maxpool: {size: 5, stride: [1, 2], pad: [1, 2, 3, 4]}");
  EXPECT_THAT((std::vector{p.pad_top, p.pad_right, p.pad_bottom, p.pad_left}),
              ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(p.stride_w, 2);
  EXPECT_THAT(build_errors("- maxpool: {pad: [1, 2, 3]}\n"),
              HasSubstr("[top, right, bottom, left]"));
}

TEST(ResizeLayers, SetModeAndBorder) {
  const Graph up = build("- upsample: {scale: 2, mode: bilinear}\n");
  EXPECT_EQ(op_of<Upsample>(up, OpKind::upsample).upsample, UpsampleKind::bilinear);
  const Graph pad = build("- pad: {size: [1, 2, 3, 4], mode: reflect}\n");
  const auto& op = op_of<Pad>(pad, OpKind::pad);
  EXPECT_EQ(op.pad, PadKind::reflect);
  EXPECT_THAT((std::vector{op.top, op.right, op.bottom, op.left}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(build_errors("- pad: {size: 16, mode: reflect}\n"), HasSubstr("4:3: pad: "));
}

TEST(AddLayer, ScalesItsInputs) {
  const Graph graph =
      build("- relu: {name: a}\n- add: {from: [a, input], scale: [0.5, 2], act: relu}\n");
  const auto& op = op_of<Add>(graph, OpKind::add);
  EXPECT_FLOAT_EQ(op.coeff[0], 0.5f);
  EXPECT_FLOAT_EQ(op.coeff[1], 2.0f);
  EXPECT_THAT(kinds(graph), ElementsAre("act", "add", "act"));
}

TEST(ScaleLayer, IsASumOfHalves) {
  const Graph graph = build("- scale: 0.25\n");
  EXPECT_THAT(kinds(graph), ElementsAre("add"));
  const auto& op = op_of<Add>(graph, OpKind::add);
  EXPECT_EQ(op.coeff[0], 0.125f);
  EXPECT_EQ(op.coeff[1], 0.125f);
  EXPECT_EQ(build_errors("- scale\n"), "4:3: \"factor\" of layer \"scale1\" is missing\n");
}

TEST(WhitenInit, IsForConvolutionsOverThePictures) {
  EXPECT_EQ(build_errors("- conv: {filters: 24, size: 2, init: whiten}\n"), "");
  EXPECT_EQ(build_errors("- relu\n- conv: {filters: 24, size: 2, init: whiten}\n"),
            "5:3: conv: \"init\": whiten is for a convolution that reads the pictures\n");
  EXPECT_EQ(build_errors("- linear: {outputs: 3, init: whiten}\n"),
            "4:3: linear: \"init\": whiten is for a convolution that reads the pictures\n");
  EXPECT_EQ(build_errors("- conv: {filters: 25, size: 2, init: whiten}\n"),
            "4:3: conv: \"init\": whiten has at most 24 filters for patches of 12 numbers, "
            "\"filters\" asks for 25\n");
  EXPECT_EQ(build_errors("- conv: {filters: 3, groups: 3, init: whiten}\n"),
            "4:3: conv: \"init\": whiten needs \"groups\" 1\n");
  EXPECT_EQ(build_errors("- conv: {filters: 3, size: 11, init: whiten}\n"),
            "4:3: conv: \"init\": whiten is for patches of at most 256 numbers, these have 363\n");
}

TEST(DropoutLayer, EveryOneDrawsItsOwnMask) {
  const Graph graph = build("- dropout: 0.3\n- dropout: 0.3\n");
  std::vector<std::uint32_t> salts;
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() == OpKind::dropout) {
      const auto& op = dynamic_cast<const Dropout&>(*node.op);
      EXPECT_FLOAT_EQ(op.p, 0.3f);
      salts.push_back(op.salt);
    }
  }
  ASSERT_EQ(salts.size(), 2u);
  EXPECT_NE(salts[0], salts[1]);
  EXPECT_THAT(build_errors("- dropout: 1\n"), HasSubstr("\"p\""));
}

TEST(ResGroup, TakesTheDefaultsOfConv) {
  const Graph graph = build("- res_group: {name: g, filters: 8, blocks: 1}\n", {1, 3, 8, 8}, {},
                            "defaults: {conv: {norm: batch, act: {leaky: 0.1}, size: 5}}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "batchnorm", "act", "conv2d", "batchnorm", "act",
                                        "conv2d", "batchnorm", "act", "add"));
  EXPECT_EQ(op_of<Conv2d>(graph, OpKind::conv2d).kernel_h, 3);
  EXPECT_EQ(graph.values[graph.prediction].name, "g");
  EXPECT_EQ(param_named(graph, "g.1.conv2.norm.weight").init.a, 1.0f);
}

TEST(ResGroup, ItsOwnOptionsWin) {
  const Graph graph = build(
      "- res_group: {name: g, filters: 8, blocks: 1, act: none, squeeze: 4, last_scale_init: "
      "zero}\n",
      {1, 3, 8, 8}, {}, "defaults: {conv: {norm: batch, act: relu}}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "batchnorm", "conv2d", "batchnorm", "conv2d",
                                        "batchnorm", "add"));
  EXPECT_EQ(param_named(graph, "g.1.conv1.weight").spec.dims[0], 2);
  EXPECT_EQ(param_named(graph, "g.1.conv1.norm.weight").init.a, 1.0f);
  EXPECT_EQ(param_named(graph, "g.1.conv2.norm.weight").init.a, 0.0f);
}

TEST(ResGroup, SumsItsInputAndTheBody) {
  const Graph graph = build("- res_layer: {name: r, act: relu}\n", {1, 4, 8, 8});
  const GraphNode& sum = graph.nodes.back();
  ASSERT_EQ(sum.op->kind(), OpKind::add);
  EXPECT_EQ(graph.values[sum.inputs[0]].name, "input");
  EXPECT_THAT(build_errors("- res_layer: {squeeze: 8}\n"), HasSubstr("cannot squeeze"));
}

TEST(Residual, ScalesTheBodyAndNotTheShortcut) {
  const Graph graph =
      build("- residual: {name: r, scale: 0.2, act: relu, body: [{conv: {filters: 3}}, relu]}\n");
  const auto& op = op_of<Add>(graph, OpKind::add);
  EXPECT_FLOAT_EQ(op.coeff[0], 1.0f);
  EXPECT_FLOAT_EQ(op.coeff[1], 0.2f);
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "act", "add", "act"));
  EXPECT_EQ(graph.values[graph.prediction].name, "r");
}

TEST(Residual, NamesBothSidesOfABadSum) {
  EXPECT_THAT(build_errors("- residual: {name: r, body: [{conv: {name: c, filters: 5}}]}\n"),
              HasSubstr("residual: inputs differ: \"input\" 3 x 16 x 16 (line 2), "
                        "\"r.c\" 5 x 16 x 16 (line 4)"));
}

TEST(Residual, Nests) {
  const Graph graph = build(
      "- residual: {name: r, body: [{residual: {name: s, body: [{conv: {name: c, filters: "
      "3}}]}}]}\n");
  EXPECT_EQ(param_list(graph)[0], "r.s.c.weight 3 x 3 x 3 x 3");
  EXPECT_THAT(kinds(graph), ElementsAre("conv2d", "add", "add"));
}

TEST(Losses, OverClassesReadLabelsAndCount) {
  const Graph graph =
      build("- linear: {name: fc, outputs: 10}\n- softmax_loss: {label_smoothing: 0.1}\n");
  EXPECT_THAT(kinds(graph), ElementsAre("linear", "softmax_xent", "topk_count"));
  EXPECT_FLOAT_EQ(op_of<SoftmaxXent>(graph, OpKind::softmax_xent).label_smoothing, 0.1f);
  EXPECT_EQ(op_of<TopkCount>(graph, OpKind::topk_count).k, 5);
  EXPECT_EQ(graph.classes, 10);
  EXPECT_EQ(graph.values[graph.prediction].name, "fc");
  EXPECT_EQ(graph.values[graph.loss].shape, (Shape{1, 1, 1, 1}));
  const ValueId labels = graph.input(InputRole::labels);
  ASSERT_NE(labels, kNone);
  EXPECT_EQ(graph.values[labels].dtype, DType::i32);
  EXPECT_EQ(graph.nodes.back().output, graph.topk);

  const Graph three = build("- linear: {outputs: 3}\n- hinge_loss: {margin: 2}\n");
  EXPECT_FLOAT_EQ(op_of<Hinge>(three, OpKind::hinge).margin, 2.0f);
  EXPECT_EQ(op_of<TopkCount>(three, OpKind::topk_count).k, 3);
}

TEST(Losses, OverTargetsReadTheirShape) {
  const Graph graph = build("- conv: {filters: 2}\n- smooth_l1_loss: {beta: 0.5}\n");
  const auto& op = op_of<Distance>(graph, OpKind::distance);
  EXPECT_EQ(op.distance, DistanceKind::smooth_l1);
  EXPECT_FLOAT_EQ(op.beta, 0.5f);
  const ValueId target = graph.input(InputRole::target);
  ASSERT_NE(target, kNone);
  EXPECT_EQ(graph.values[target].shape, (Shape{1, 2, 16, 16}));
  EXPECT_EQ(graph.classes, 0);
  EXPECT_EQ(graph.topk, kNone);
  const Graph l2 = build("- mse_loss\n");
  EXPECT_EQ(op_of<Distance>(l2, OpKind::distance).distance, DistanceKind::l2);
  const Graph l1 = build("- l1_loss\n");
  EXPECT_EQ(op_of<Distance>(l1, OpKind::distance).distance, DistanceKind::l1);
  EXPECT_THAT(kinds(build("- bce_loss\n")), ElementsAre("bce"));
}

TEST(Heads, KeepWhatDecodingNeeds) {
  const Graph graph = build(
      "- conv: {name: c, filters: 12, size: 1}\n"
      "- yolo: {name: h, anchors: [[10, 14], [23, 27.5]], classes: 1, scale_x_y: 1.05, "
      "new_coords: true, nms: diou, beta_nms: 0.5}\n"
      "- conv: {name: d, filters: 12, size: 1, from: c}\n"
      "- region: {name: r, anchors: [[1, 2], [3, 4]], classes: 1, softmax: false}\n");
  ASSERT_EQ(graph.heads.size(), 2u);
  const DetectionHead& yolo = graph.heads[0];
  EXPECT_EQ(yolo.kind, HeadKind::yolo);
  EXPECT_EQ(graph.values[yolo.raw].name, "c");
  EXPECT_THAT(yolo.mask, ElementsAre(0, 1));
  EXPECT_FLOAT_EQ(yolo.anchors[1][1], 27.5f);
  EXPECT_FLOAT_EQ(yolo.scale_x_y, 1.05f);
  EXPECT_TRUE(yolo.new_coords);
  EXPECT_EQ(yolo.nms, NmsKind::diou);
  EXPECT_FLOAT_EQ(yolo.nms_beta, 0.5f);
  EXPECT_EQ(graph.heads[1].kind, HeadKind::region);
  EXPECT_FALSE(graph.heads[1].softmax);
  EXPECT_EQ(graph.values[graph.heads[1].raw].name, "d");
}

TEST(Heads, CheckChannelsMaskAndClasses) {
  EXPECT_THAT(build_errors("- conv: {name: c, filters: 13, size: 1}\n"
                           "- yolo: {anchors: [[1, 2], [3, 4]], classes: 1}\n"),
              HasSubstr("yolo: needs 12 channels, 2 anchors x (5 + 1 classes), found \"c\" 13 x 16 "
                        "x 16 (line 4); set the filters of the convolution before it to 12"));
  EXPECT_THAT(build_errors("- yolo: {anchors: [[1, 2]], mask: [1], classes: 1}\n"),
              HasSubstr("\"mask\" names anchor 1, but there are 1"));
  EXPECT_THAT(build_errors("- yolo: {anchors: [[1, 0]], classes: 1}\n"), HasSubstr("anchors"));
  BuildOptions options;
  options.classes = 3;
  EXPECT_THAT(
      build_errors("- conv: {filters: 6, size: 1}\n- yolo: {anchors: [[1, 2]], classes: 1}\n",
                   {1, 3, 16, 16}, options),
      HasSubstr("the head has 1 classes, but the data set has 3"));
}

TEST(Slices, NameTheGroupsThatDoNotDivide) {
  EXPECT_THAT(build_errors("- slice: {groups: 2}\n"), HasSubstr("group 0 of 2 cannot be taken"));
  EXPECT_THAT(build_errors("- slice: {groups: 3, group: 3}\n"), HasSubstr("group 3 of 3"));
}

}  // namespace
}  // namespace daybreak
