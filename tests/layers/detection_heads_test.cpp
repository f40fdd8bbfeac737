#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build_support.h"
#include "layers/ssd.h"
#include "ops/ssd_loss.h"
#include "ops/yolo_loss.h"

namespace daybreak {
namespace {

using testing::HasSubstr;

BuildOptions with_classes(int classes, int boxes = 8) {
  BuildOptions options;
  options.classes = classes;
  options.max_boxes = boxes;
  return options;
}

template <typename OpType>
const OpType* find_op(const Graph& graph, OpKind kind, int skip = 0) {
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() == kind && skip-- == 0) return static_cast<const OpType*>(node.op.get());
  }
  return nullptr;
}

constexpr const char* kTwoHeads =
    "  - conv: {name: a, filters: 8, size: 3, stride: 2}\n"
    "  - yolo: {name: fine, anchors: [[4, 4], [9, 9]], mask: [0], conv: 1}\n"
    "  - conv: {name: b, from: a, filters: 8, size: 3, stride: 2}\n"
    "  - yolo: {name: coarse, anchors: [[4, 4], [9, 9]], mask: [1], conv: 3, box_loss: giou,\n"
    "           label_smoothing: 0.1, focal: 2}\n";

TEST(YoloHead, LossesOfHeadsAreSummed) {
  const Graph graph = build(kTwoHeads, {1, 3, 16, 16}, with_classes(3));
  ASSERT_EQ(graph.heads.size(), 2u);
  ASSERT_NE(graph.loss, kNone);
  EXPECT_EQ(graph.nodes[graph.values[graph.loss].producer].op->kind(), OpKind::add);
  const auto* fine = find_op<YoloLoss>(graph, OpKind::yolo_loss);
  const auto* coarse = find_op<YoloLoss>(graph, OpKind::yolo_loss, 1);
  ASSERT_TRUE(fine && coarse);
  EXPECT_EQ(fine->stride_x, 2.0f);
  EXPECT_EQ(coarse->stride_y, 4.0f);
  EXPECT_EQ(coarse->box_loss, BoxLoss::giou);
  EXPECT_EQ(coarse->label_smoothing, 0.1f);
  EXPECT_EQ(coarse->focal, 2.0f);
  EXPECT_EQ(fine->classes, 3);
  const ValueId boxes = graph.input(InputRole::boxes);
  ASSERT_NE(boxes, kNone);
  EXPECT_EQ(graph.values[boxes].shape, (Shape{1, 8, 1, 5}));
}

TEST(YoloHead, MakesItsOwnConvolutionForTheClassesOfTheData) {
  for (const int classes : {1, 7}) {
    const Graph graph = build(kTwoHeads, {1, 3, 16, 16}, with_classes(classes));
    EXPECT_EQ(graph.values[graph.heads[1].raw].shape, (Shape{1, 5 + classes, 4, 4}));
    const bool named = std::any_of(graph.params.begin(), graph.params.end(),
                                   [](const Param& p) { return p.name == "coarse.conv.weight"; });
    EXPECT_TRUE(named);
  }
}

TEST(YoloHead, WithoutALossThereAreNoTruths) {
  BuildOptions options = with_classes(3);
  options.with_loss = false;
  const Graph graph = build(kTwoHeads, {1, 3, 16, 16}, options);
  EXPECT_EQ(graph.loss, kNone);
  EXPECT_EQ(graph.input(InputRole::boxes), kNone);
  EXPECT_EQ(graph.heads.size(), 2u);
}

TEST(YoloHead, FixedFiltersTellTheClassesBeforeTheDataIsOpen) {
  BuildOptions options;
  options.stand_in_classes = 10;
  const Graph graph =
      build("  - conv: {filters: 16, size: 1}\n  - yolo: {anchors: [[4, 4], [9, 9]]}\n",
            {1, 3, 16, 16}, options);
  EXPECT_EQ(graph.heads[0].classes, 3);
}

// ---- SSD ----------------------------------------------------------------------------------------

TEST(SsdAnchors, D2lVectorOfSemantics) {
  const std::vector<float> ratios = {1.0f, 2.0f, 0.5f};
  const auto sizes = ssd_anchor_sizes(AnchorStyle::d2l, {0.75f, 0.5f}, ratios, 4, 8);
  ASSERT_EQ(sizes.size(), 4u);
  // Corners at pixel (x 2, y 1): centre (.3125, .375).
  const double corners[4][4] = {{0.125, 0, 0.5, 0.75},
                                {0.1875, 0.125, 0.4375, 0.625},
                                {0.047335, 0.109835, 0.577665, 0.640165},
                                {0.179917, -0.15533, 0.445083, 0.90533}};
  for (int a = 0; a < 4; ++a) {
    EXPECT_NEAR(0.3125 - sizes[a][0] / 2, corners[a][0], 1e-5);
    EXPECT_NEAR(0.375 - sizes[a][1] / 2, corners[a][1], 1e-5);
    EXPECT_NEAR(0.3125 + sizes[a][0] / 2, corners[a][2], 1e-5);
    EXPECT_NEAR(0.375 + sizes[a][1] / 2, corners[a][3], 1e-5);
  }
}

TEST(SsdAnchors, FirstBoxesOfSsd300) {
  const std::vector<float> ratios = {2.0f};
  const auto sizes = ssd_anchor_sizes(AnchorStyle::ssd, {0.1f, 0.2f}, ratios, 38, 38);
  ASSERT_EQ(sizes.size(), 4u);
  EXPECT_NEAR(sizes[0][0], 0.1, 1e-6);
  EXPECT_NEAR(sizes[1][0], 0.141421, 1e-6);
  EXPECT_NEAR(sizes[2][0], 0.141421, 1e-6);
  EXPECT_NEAR(sizes[2][1], 0.0707107, 1e-6);
  EXPECT_EQ(ssd_anchor_sizes(AnchorStyle::ssd, {0.9f, 1.05f}, ratios, 1, 1)[2][0], 1.0f);
}

std::size_t places_of(const Graph& graph) {
  std::vector<Shape> maps;
  for (const DetectionHead& head : graph.heads) maps.push_back(graph.values[head.raw].shape);
  return ssd_places(*find_op<SsdLoss>(graph, OpKind::ssd_loss), maps).size();
}

TEST(SsdHead, TinySsdHas5444Anchors) {
  const Graph graph = build(
      "  - maxpool: {name: m1, size: 8, stride: 8}\n"
      "  - maxpool: {name: m2, size: 2, stride: 2}\n"
      "  - maxpool: {name: m3, size: 2, stride: 2}\n"
      "  - maxpool: {name: m4, size: 2, stride: 2}\n"
      "  - maxpool: {name: m5, size: 4, stride: 4}\n"
      "  - ssd: {from: [m1, m2, m3, m4, m5], sizes: [[0.2, 0.272], [0.37, 0.447], [0.54, 0.619],\n"
      "          [0.71, 0.79], [0.88, 0.961]], ratios: [1, 2, 0.5]}\n",
      {1, 3, 256, 256}, with_classes(1));
  EXPECT_EQ(places_of(graph), 5444u);
  EXPECT_EQ(graph.heads.size(), 5u);
  EXPECT_EQ(graph.values[graph.heads[0].raw].shape, (Shape{1, 24, 32, 32}));
}

TEST(SsdHead, Ssd300Has8732Anchors) {
  const Graph graph = build(
      "  - adaptive_avgpool: {name: m1, size: 38}\n"
      "  - adaptive_avgpool: {name: m2, size: 19}\n"
      "  - adaptive_avgpool: {name: m3, size: 10}\n"
      "  - adaptive_avgpool: {name: m4, size: 5}\n"
      "  - adaptive_avgpool: {name: m5, size: 3}\n"
      "  - adaptive_avgpool: {name: m6, size: 1}\n"
      "  - ssd: {from: [m1, m2, m3, m4, m5, m6], style: ssd, ratios: [2, 3],\n"
      "          ratio_counts: [1, 2, 2, 2, 1, 1], steps: [8, 16, 32, 64, 100, 300],\n"
      "          sizes: [[0.1, 0.2], [0.2, 0.37], [0.37, 0.54], [0.54, 0.71], [0.71, 0.88],\n"
      "                  [0.88, 1.05]]}\n",
      {1, 3, 300, 300}, with_classes(20));
  EXPECT_EQ(places_of(graph), 8732u);
  EXPECT_EQ(graph.heads[0].cells_x, 37.5f);
}

TEST(SsdHead, RefusesListsOfAnotherLength) {
  const auto errors = [](const std::string& options) {
    return build_errors(
        "  - conv: {name: a, filters: 4}\n  - conv: {name: b, filters: 4}\n  - ssd: "
        "{from: [a, b], " +
            options + "}\n",
        {1, 3, 16, 16}, with_classes(2));
  };
  EXPECT_THAT(errors("sizes: [[0.1, 0.2]]"),
              HasSubstr("\"sizes\" has 1 entries for 2 feature maps"));
  EXPECT_THAT(errors("sizes: [[0.1, 0.2], [0.3, 0.4]], steps: [8]"),
              HasSubstr("\"steps\" has 1 entries for 2 feature maps"));
  EXPECT_THAT(errors("sizes: [[0.1, 0.2], [0.3, 0.4]], ratio_counts: [1, 9]"),
              HasSubstr("\"ratio_counts\" wants 9 ratios, but there are 3"));
}

}  // namespace
}  // namespace daybreak
