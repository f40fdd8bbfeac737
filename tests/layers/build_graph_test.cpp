#include "layers/build_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/build_support.h"
#include "ops/input_u8.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BuildGraph, StartsWithPicturesAsBytes) {
  const Graph graph =
      build_graph(network_of("name: t\n"
                             "input: {channels: 3, height: 8, width: 6, order: bgr, scale: 1, "
                             "mean: [104, 117, 123], std: [1, 2, 4]}\n"
                             "layers: [relu]\n"),
                  {});
  const ValueId image = graph.input(InputRole::image);
  ASSERT_NE(image, kNone);
  EXPECT_EQ(graph.values[image].dtype, DType::u8);
  EXPECT_EQ(graph.values[image].shape, (Shape{1, 3, 8, 6}));
  const auto& op = op_of<InputU8>(graph, OpKind::input_u8);
  EXPECT_THAT(op.mean, ElementsAre(104, 117, 123));
  EXPECT_THAT(op.std, ElementsAre(1, 2, 4));
  EXPECT_EQ(op.scale, 1.0f);
  EXPECT_TRUE(op.reverse_channels);
  EXPECT_EQ(graph.name, "t");
}

TEST(BuildGraph, ScaleIsOneOver255ByDefault) {
  const auto graph = build("- relu\n");
  const auto& op = op_of<InputU8>(graph, OpKind::input_u8);
  EXPECT_FLOAT_EQ(op.scale, 1.0f / 255.0f);
  EXPECT_FALSE(op.reverse_channels);
}

TEST(BuildGraph, NeedsMeanAndStdByNow) {
  const NetworkSpec network =
      network_of("name: t\ninput: {channels: 3, height: 8, width: 8}\nlayers: [relu]\n");
  EXPECT_THROW(build_graph(network, {}), ConfigError);
}

TEST(BuildGraph, FromReadsAnyEarlierLayer) {
  const Graph graph = build(
      "- conv: {name: a, filters: 4}\n"
      "- conv: {name: b, filters: 5}\n"
      "- conv: {name: c, filters: 6, from: a}\n"
      "- concat: {name: d, from: [c, b, input]}\n");
  EXPECT_EQ(output_shape(graph).c, 6 + 5 + 3);
  EXPECT_EQ(param_named(graph, "c.weight").spec.dims[1], 4);
}

TEST(BuildGraph, WithoutLossStopsAtTheScores) {
  const std::string layers = "- linear: {name: fc, outputs: 10}\n- softmax_loss\n";
  const Graph graph = build(layers, {1, 3, 8, 8}, {.with_loss = false});
  EXPECT_THAT(kinds(graph), ElementsAre("linear"));
  EXPECT_EQ(graph.values[graph.prediction].name, "fc");
  EXPECT_EQ(graph.loss, kNone);
  EXPECT_EQ(graph.topk, kNone);
  EXPECT_EQ(graph.input(InputRole::labels), kNone);
}

TEST(BuildGraph, ANetWithoutLossPredictsItsLastValue) {
  const Graph graph = build("- linear: {outputs: 10}\n- softmax: {name: p}\n");
  EXPECT_EQ(graph.values[graph.prediction].name, "p");
  EXPECT_EQ(graph.loss, kNone);
}

TEST(BuildGraph, ClassesMustFitTheData) {
  const BuildOptions options{.classes = 100,
                             .classes_source = "data set \"cifar100\" (data/cifar100.yaml)"};
  EXPECT_EQ(
      build_errors("- linear: {name: fc, outputs: 10}\n- softmax_loss\n", {1, 3, 8, 8}, options),
      "5:3: softmax_loss: the network gives 10 classes, \"fc\" 10 x 1 x 1 (line 4), but data set "
      "\"cifar100\" (data/cifar100.yaml) has 100\n");
  const Graph graph = build("- linear: {outputs: auto}\n- softmax_loss\n", {1, 3, 8, 8}, options);
  EXPECT_EQ(graph.classes, 100);
}

TEST(BuildGraph, AutoTakesAStandInWhileClassesAreUnknown) {
  const std::string layers = "- linear: {outputs: auto}\n- softmax_loss\n";
  EXPECT_EQ(build(layers, {1, 3, 8, 8}, {.stand_in_classes = 12}).classes, 12);
  EXPECT_EQ(build(layers, {1, 3, 8, 8}, {.classes = 7, .stand_in_classes = 12}).classes, 7);
  EXPECT_THAT(build_errors(layers), HasSubstr("takes the number of classes from the data set"));
}

TEST(BuildGraph, ScoresMustBeAVector) {
  EXPECT_THAT(build_errors("- conv: {name: c, filters: 4}\n- softmax_loss\n"),
              HasSubstr("5:3: softmax_loss: needs one score for each of at least 2 classes, "
                        "K x 1 x 1, found \"c\" 4 x 16 x 16 (line 4)"));
}

// The sample of the design document: what the user wrote in three places, and what follows from it.
TEST(BuildGraph, ReportsErrorsOfAllStagesTogether) {
  const std::string errors = build_errors(
      "  - conv: {name: c1, filters: 64}\n"
      "  - maxpool: {name: p1, sise: 1}\n"
      "  - conv: {name: r1a, filters: 0, size: 1}\n"
      "  - conv: {name: r1b, filters: 128}\n"
      "  - add: {from: [r1b, p1]}\n");
  EXPECT_THAT(errors, HasSubstr("5:25: unknown key \"sise\" in layer \"p1\" (type: maxpool), "
                                "did you mean \"size\"?\n"));
  EXPECT_THAT(errors,
              HasSubstr("6:32: \"filters\" of layer \"r1a\" must be in 1..65536, found 0\n"));
  EXPECT_THAT(errors, HasSubstr("8:5: add: inputs differ: \"r1b\" 128 x 16 x 16 (line 7), "
                                "\"p1\" 64 x 16 x 16 (line 5)\n"));
}

TEST(BuildGraph, OneMistakeIsReportedOnce) {
  // The pool cannot be built, so nothing is known about what follows it; other branches are built.
  EXPECT_EQ(build_errors("- conv: {name: a, filters: 4}\n"
                         "- maxpool: {name: b, size: 40}\n"
                         "- conv: {name: c, filters: 4}\n"
                         "- add: {from: [c, a]}\n"
                         "- maxpool: {name: d, size: 50, from: a}\n"),
            "5:3: maxpool: a window of 40 does not fit into 16 (input 16, padding 0 and 0): "
            "\"a\" 4 x 16 x 16 (line 4)\n"
            "8:3: maxpool: a window of 50 does not fit into 16 (input 16, padding 0 and 0): "
            "\"a\" 4 x 16 x 16 (line 4)\n");
}

TEST(BuildGraph, OptionsAreCheckedBehindABadLayer) {
  EXPECT_THAT(
      build_errors("- maxpool: {size: 40}\n- residual: {name: r, body: [{conv: {fliters: 4}}]}\n"),
      HasSubstr("did you mean \"filters\"?"));
}

TEST(BuildGraph, UnknownTypesAndNamesGetHints) {
  EXPECT_THAT(build_errors("- covn: {filters: 4}\n"),
              HasSubstr("4:3: unknown layer type \"covn\", did you mean \"conv\"?"));
  EXPECT_THAT(build_errors("- conv: {name: stem, filters: 4}\n- relu: {name: r, from: stme}\n"),
              HasSubstr("layer \"r\" reads \"stme\", and no layer before it has this name, did you "
                        "mean \"stem\"?"));
}

TEST(BuildGraph, CountsInputs) {
  EXPECT_THAT(
      build_errors("- add: {name: s}\n"),
      HasSubstr("4:3: layer \"s\" (type: add) takes 2 inputs, found 1; name them: from: [a, b]"));
  EXPECT_THAT(build_errors("- relu: {name: a}\n- relu: {name: b, from: [a, input]}\n"),
              HasSubstr("5:3: layer \"b\" (type: relu) takes 1 input, found 2"));
}

TEST(BuildGraph, TheLossEndsTheNetwork) {
  EXPECT_THAT(
      build_errors("- linear: {outputs: 4}\n- softmax_loss: {name: loss}\n- relu: {name: r}\n"),
      HasSubstr("6:3: layer \"r\" stands behind the loss \"loss\""));
  EXPECT_THAT(build_errors("- residual: {name: r, body: [{mse_loss: {name: l}}]}\n"),
              HasSubstr("the loss \"r.l\" must stand in the network's own list"));
}

TEST(BuildGraph, DefaultsAreChecked) {
  EXPECT_THAT(build_errors("- relu\n", {1, 3, 8, 8}, {}, "defaults: {cnov: {size: 3}}\n"),
              HasSubstr("unknown layer type \"cnov\" in \"defaults\", did you mean \"conv\"?"));
  EXPECT_THAT(build_errors("- relu\n", {1, 3, 8, 8}, {}, "defaults: {conv: {sise: 3}}\n"),
              HasSubstr("unknown key \"sise\""));
  // Said once, whatever number of layers takes it.
  EXPECT_EQ(
      build_errors(
          "- conv: {filters: 2}\n- conv: {filters: 2}\n- res_group: {filters: 2, blocks: 1}\n",
          {1, 3, 8, 8}, {}, "defaults: {conv: {act: rleu}}\n"),
      build_errors("- conv: {filters: 2}\n", {1, 3, 8, 8}, {}, "defaults: {conv: {act: rleu}}\n"));
}

TEST(BuildGraph, ErrorsInsideContainersHaveTheirOwnPlace) {
  const std::string errors = build_errors(
      "- residual:\n"
      "    name: r\n"
      "    body:\n"
      "      - conv: {name: c, filters: 4}\n"
      "      - maxpool: {name: p, size: 99}\n");
  EXPECT_THAT(errors, HasSubstr("8:9: maxpool: a window of 99"));
  EXPECT_THAT(errors, Not(HasSubstr("residual:")));
}

TEST(BuildGraph, RepeatsBuildEveryCopy) {
  const Graph graph = build(
      "- repeat: {count: 3, name: b, layers: [{conv: {name: c, filters: 3, bias: false}}, "
      "relu]}\n");
  EXPECT_THAT(param_list(graph),
              ElementsAre("b.1.c.weight 3 x 3 x 3 x 3", "b.2.c.weight 3 x 3 x 3 x 3",
                          "b.3.c.weight 3 x 3 x 3 x 3"));
}

TEST(BuildGraph, FromInsideContainersReadsTheListsAround) {
  const Graph graph = build(
      "- conv: {name: a, filters: 4}\n"
      "- repeat:\n"
      "    count: 2\n"
      "    name: b\n"
      "    layers:\n"
      "      - conv: {name: c, filters: 4}\n"
      "      - residual: {name: r, body: [{add: {from: [a, c]}}, {conv: {name: d, filters: "
      "4}}]}\n");
  for (const GraphNode& node : graph.nodes) {
    if (node.layer != "b.2.r.add1") continue;
    EXPECT_EQ(graph.values[node.inputs[0]].name, "a");
    EXPECT_EQ(graph.values[node.inputs[1]].name, "b.2.c");
    return;
  }
  FAIL() << "no such layer";
}

TEST(BuildGraph, RefusesAnEmptyList) {
  EXPECT_NE(build_errors("  []\n"), "");
}

}  // namespace
}  // namespace daybreak
