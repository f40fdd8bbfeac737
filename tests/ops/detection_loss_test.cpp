#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/box_overlap.h"
#include "ops/region_loss.h"
#include "ops/ssd_loss.h"
#include "ops/yolo_loss.h"
#include "support/op_data.h"

// Vectors of semantics.md, 6.1 to 6.3.

namespace daybreak {
namespace {

constexpr double kClose = 1e-5;  // relative; the attributes are floats

OpResult run(const Op& op, std::vector<HostTensor> inputs) {
  OpData data;
  data.x = std::move(inputs);
  data.dy = {{1, 1, 1, 1}, {1.0}};
  return run_reference(op, data, Mode::train, DType::f64, Want::backward);
}

HostTensor boxes(std::vector<std::vector<double>> rows) {
  HostTensor tensor{{1, static_cast<int>(rows.size()), 1, 5}, {}};
  for (const auto& row : rows) tensor.v.insert(tensor.v.end(), row.begin(), row.end());
  return tensor;
}

TEST(BoxOverlap, VectorOfSemantics) {
  const BoxT<double> predicted{0.5, 0.5, 0.4, 0.2}, truth{0.6, 0.55, 0.3, 0.3};
  EXPECT_NEAR(box_overlap(BoxLoss::iou, predicted, truth).value, 0.416667, 1e-6);
  EXPECT_NEAR(box_overlap(BoxLoss::giou, predicted, truth).value, 0.305556, 1e-6);
  EXPECT_NEAR(box_overlap(BoxLoss::diou, predicted, truth).value, 0.373932, 1e-6);
  EXPECT_NEAR(box_overlap(BoxLoss::ciou, predicted, truth).value, 0.371116, 1e-6);
}

TEST(BoxOverlap, GradientsMatchDifferencesInEveryPosition) {
  const BoxT<double> truth{0.5, 0.5, 0.3, 0.2};
  const BoxT<double> cases[] = {{0.51, 0.52, 0.1, 0.1},  // inside
                                {0.49, 0.47, 0.7, 0.6},  // around
                                {0.7, 0.6, 0.25, 0.15},  // meets a corner
                                {0.1, 0.2, 0.05, 0.3},   // apart
                                {0.52, 0.9, 0.2, 0.1}};  // apart along one side
  for (const BoxLoss kind : {BoxLoss::iou, BoxLoss::giou, BoxLoss::diou, BoxLoss::ciou}) {
    for (const BoxT<double>& box : cases) {
      const BoxGradient<double> result = box_overlap(kind, box, truth);
      for (int k = 0; k < 4; ++k) {
        const auto at = [&](double h) {
          BoxT<double> moved = box;
          (k == 0 ? moved.x : k == 1 ? moved.y : k == 2 ? moved.w : moved.h) += h;
          return box_overlap(kind, moved, truth).value;
        };
        EXPECT_NEAR(result.d[k], (at(1e-6) - at(-1e-6)) / 2e-6, 1e-7)
            << static_cast<int>(kind) << " at " << box.x << ", part " << k;
      }
    }
  }
}

// ---- YOLO ---------------------------------------------------------------------------------------

constexpr int kGrid = 13, kCell = 5 * kGrid + 3;

YoloLoss coco_head(std::vector<int> mask) {
  YoloLoss op;
  op.anchors = {{10, 13},  {16, 30},  {33, 23},   {30, 61},  {62, 45},
                {59, 119}, {116, 90}, {156, 198}, {373, 326}};
  op.mask = std::move(mask);
  op.classes = 2;
  op.iou_normalizer = 1.0f;
  return op;
}

// A map of zeros, but t = (.2, -.1, .3, -.4) at anchor 0 of the mask in cell (3, 5).
HostTensor example_map(const YoloLoss& op) {
  const int channels = static_cast<int>(op.mask.size()) * (5 + op.classes);
  HostTensor map{{1, channels, kGrid, kGrid}, {}};
  map.v.assign(static_cast<std::size_t>(map.shape.count()), 0.0);
  const double t[] = {0.2, -0.1, 0.3, -0.4};
  for (int k = 0; k < 4; ++k) map.v[static_cast<std::size_t>(k * kGrid * kGrid + kCell)] = t[k];
  return map;
}

double gradient(const OpResult& result, int channel, int cell) {
  return result.dx[0].v[static_cast<std::size_t>(channel * kGrid * kGrid + cell)];
}

const std::vector<double> kTruth = {1, 0.27, 0.42, 0.35, 0.2};

TEST(YoloLoss, GradientVectorOfSemantics) {
  const YoloLoss op = coco_head({6, 7, 8});
  const OpResult result = run(op, {example_map(op), boxes({kTruth})});
  EXPECT_NEAR(gradient(result, 0, kCell), 0.0768796, kClose);
  EXPECT_NEAR(gradient(result, 1, kCell), 0.0289902, kClose);
  EXPECT_NEAR(gradient(result, 2, kCell), 0.140363, kClose);
  EXPECT_NEAR(gradient(result, 3, kCell), -0.620375, kClose);
  EXPECT_NEAR(gradient(result, 4, kCell), -0.5, kClose);  // objectness towards 1
  EXPECT_NEAR(gradient(result, 5, kCell), 0.5, kClose);   // not class 0
  EXPECT_NEAR(gradient(result, 6, kCell), -0.5, kClose);  // class 1
}

TEST(YoloLoss, ValueIsTheSumOfItsTerms) {
  YoloLoss op = coco_head({6});
  op.ignore_thresh = 1.0f;
  const OpResult result = run(op, {example_map(op), boxes({kTruth, {-1, 0, 0, 0, 0}})});
  const auto entropy = [](double x, double t) {
    const double p = 1 / (1 + std::exp(-x));
    return -t * std::log(p) - (1 - t) * std::log(1 - p);
  };
  const double w = 0.3 - 0.227273, h = -0.4 + 0.0785623;
  const double box = 1.93 * (entropy(0.2, 0.51) + entropy(-0.1, 0.46) + (w * w + h * h) / 2);
  const double rest = (kGrid * kGrid + 2) * std::log(2.0);  // every objectness, two classes
  EXPECT_NEAR(result.y.v[0], box + rest, 1e-4);
}

TEST(YoloLoss, OnlyTheBestOfAllAnchorsLearnsATruth) {
  const YoloLoss op = coco_head({7, 8});  // the best, 6, belongs to another head
  const OpResult result = run(op, {example_map(op), boxes({kTruth})});
  for (int channel = 0; channel < 4; ++channel) EXPECT_EQ(gradient(result, channel, kCell), 0.0);
  EXPECT_NEAR(gradient(result, 4 + 7, kCell), 0.5, kClose);
}

TEST(YoloLoss, FurtherAnchorsLearnAboveIouThresh) {
  // IoU of shapes with anchor 7: .392189.
  YoloLoss op = coco_head({6, 7});
  op.ignore_thresh = 1.0f;
  op.iou_thresh = 0.3921f;
  EXPECT_NEAR(gradient(run(op, {example_map(op), boxes({kTruth})}), 4 + 7, kCell), -0.5, kClose);
  op.iou_thresh = 0.3922f;
  EXPECT_NEAR(gradient(run(op, {example_map(op), boxes({kTruth})}), 4 + 7, kCell), 0.5, kClose);
}

TEST(YoloLoss, BoxesNearATruthAreNotBlamed) {
  YoloLoss op = coco_head({6});
  // The box of the neighbour cell (4, 5) is 1/13 to the right: IoU .508 with the truth.
  const BoxT<double> near{4.5 / 13, 5.5 / 13, 116.0 / 416, 90.0 / 416};
  const double overlap = iou_of(near, {0.27, 0.42, 0.35, 0.2});
  op.ignore_thresh = static_cast<float>(overlap - 1e-4);
  EXPECT_EQ(gradient(run(op, {example_map(op), boxes({kTruth})}), 4, kCell + 1), 0.0);
  op.ignore_thresh = static_cast<float>(overlap + 1e-4);
  EXPECT_NEAR(gradient(run(op, {example_map(op), boxes({kTruth})}), 4, kCell + 1), 0.5, kClose);
  op.truth_thresh = static_cast<float>(overlap - 1e-4);  // and above this it learns the truth
  EXPECT_NEAR(gradient(run(op, {example_map(op), boxes({kTruth})}), 4, kCell + 1), -0.5, kClose);
}

TEST(YoloLoss, TruthsOnOnePlaceShareClassesAndTheLastHasTheBox) {
  const YoloLoss op = coco_head({6});
  std::vector<double> other = kTruth;
  other[0] = 0, other[1] = 0.28;
  const OpResult both = run(op, {example_map(op), boxes({kTruth, other})});
  EXPECT_NEAR(gradient(both, 5, kCell), -0.5, kClose);
  EXPECT_NEAR(gradient(both, 6, kCell), -0.5, kClose);
  const OpResult last = run(op, {example_map(op), boxes({other})});
  EXPECT_NEAR(gradient(both, 0, kCell), gradient(last, 0, kCell), 1e-12);
}

TEST(YoloLoss, DecodesScaledAndSquashedValuesAsSemanticsSay) {
  // The box loss is 1 - IoU with the box that 6.3 gives, so it vanishes at that truth.
  YoloLoss op = coco_head({6});
  op.box_loss = BoxLoss::iou;
  op.obj_normalizer = op.cls_normalizer = 0.0f;
  op.scale_x_y = 1.05f;
  const std::vector<double> scaled = {0, 0.273256, 0.421059, 0.376403, 0.145021};
  EXPECT_NEAR(run(op, {example_map(op), boxes({scaled})}).y.v[0], 0.0, 3e-5);
  op.new_coords = true;
  HostTensor map = example_map(op);
  const double v[] = {0.6, 0.4, 0.55, 0.5};
  for (int k = 0; k < 4; ++k) map.v[static_cast<std::size_t>(k * kGrid * kGrid + kCell)] = v[k];
  op.scale_x_y = 1.0f;
  EXPECT_NEAR(run(op, {map, boxes({{0, 0.276923, 0.415385, 0.337404, 0.216346}})}).y.v[0], 0.0,
              3e-5);
  op.scale_x_y = 2.0f;
  EXPECT_NEAR(run(op, {map, boxes({{0, 0.284615, 0.407692, 0.337404, 0.216346}})}).y.v[0], 0.0,
              3e-5);
}

TEST(YoloLoss, IsAMeanOverPictures) {
  const YoloLoss op = coco_head({6});
  const HostTensor map = example_map(op);
  const OpResult one = run(op, {map, boxes({kTruth})});
  HostTensor twice{{2, map.shape.c, kGrid, kGrid}, map.v}, truths{{2, 1, 1, 5}, kTruth};
  twice.v.insert(twice.v.end(), map.v.begin(), map.v.end());
  truths.v.insert(truths.v.end(), kTruth.begin(), kTruth.end());
  const OpResult two = run(op, {twice, truths});
  EXPECT_NEAR(two.y.v[0], one.y.v[0], 1e-9);
  EXPECT_NEAR(gradient(two, 0, kCell), gradient(one, 0, kCell) / 2, 1e-12);
}

TEST(YoloLoss, RefusesAnUnknownCategory) {
  const YoloLoss op = coco_head({6});
  EXPECT_THROW(run(op, {example_map(op), boxes({{2, 0.5, 0.5, 0.1, 0.1}})}), DataError);
}

// ---- region -------------------------------------------------------------------------------------

TEST(RegionLoss, DeltasOfTheSameExample) {
  // As for YOLO, but squared errors behind the sigmoid; the anchor in cells.
  RegionLoss op;
  op.anchors = {{116.0f / 32, 90.0f / 32}};
  op.classes = 2;
  const HostTensor map = example_map(coco_head({6}));
  const OpResult result = run(op, {map, boxes({kTruth})});
  const double sx = 1 / (1 + std::exp(-0.2)), sy = 1 / (1 + std::exp(0.1));
  EXPECT_NEAR(gradient(result, 0, kCell), 0.0768796 * sx * (1 - sx), kClose);
  EXPECT_NEAR(gradient(result, 1, kCell), 0.0289902 * sy * (1 - sy), kClose);
  EXPECT_NEAR(gradient(result, 2, kCell), 0.140363, kClose);
  EXPECT_NEAR(gradient(result, 3, kCell), -0.620375, kClose);
  EXPECT_NEAR(gradient(result, 4, kCell), -0.5 * 0.25, kClose);
  EXPECT_NEAR(gradient(result, 4, 0), 0.5 * 0.25, kClose);
  EXPECT_NEAR(gradient(result, 5, kCell), 0.5, kClose);  // softmax of two equal scores
  EXPECT_NEAR(gradient(result, 6, kCell), -0.5, kClose);
}

TEST(RegionLoss, RescoreTeachesTheOverlap) {
  RegionLoss op;
  op.anchors = {{116.0f / 32, 90.0f / 32}};
  op.classes = 2;
  op.rescore = true;
  const OpResult result = run(op, {example_map(coco_head({6})), boxes({kTruth})});
  const double overlap =
      iou_of<double>({0.273064, 0.421155, 0.376403, 0.145021}, {0.27, 0.42, 0.35, 0.2});
  EXPECT_NEAR(gradient(result, 4, kCell), (0.5 - overlap) * 0.25, kClose);
}

TEST(RegionLoss, TheAnchorIsFoundByPredictedSizesOrByItsOwn) {
  RegionLoss op;
  op.anchors = {{4.5f, 2.6f}, {1.0f, 1.0f}};  // the truth is 4.55 x 2.6 cells
  op.classes = 2;
  HostTensor map{{1, 14, kGrid, kGrid}, {}};
  map.v.assign(static_cast<std::size_t>(map.shape.count()), 0.0);
  const auto at = [&](int channel) -> double& {
    return map.v[static_cast<std::size_t>(channel * kGrid * kGrid + kCell)];
  };
  at(2) = at(3) = -2.0;                           // the first now predicts a small box,
  at(9) = std::log(4.5), at(10) = std::log(2.6);  // the second the truth's
  const OpResult predicted = run(op, {map, boxes({kTruth})});
  EXPECT_GT(gradient(predicted, 4, kCell), 0.0);
  EXPECT_LT(gradient(predicted, 11, kCell), 0.0);
  op.bias_match = true;
  EXPECT_LT(gradient(run(op, {map, boxes({kTruth})}), 4, kCell), 0.0);
}

// ---- SSD ----------------------------------------------------------------------------------------

SsdPlace prior(double left, double top, double right, double bottom) {
  SsdPlace place;
  place.cx = (left + right) / 2, place.cy = (top + bottom) / 2;
  place.w = right - left, place.h = bottom - top;
  return place;
}

TEST(SsdLoss, OffsetsOfSemantics) {
  SsdPlace place;
  place.cx = 0.5, place.cy = 0.5, place.w = 0.4, place.h = 0.2;
  const auto offsets = ssd_offsets(place, {0.6, 0.55, 0.3, 0.3});
  EXPECT_NEAR(offsets[0], 2.5, 1e-9);
  EXPECT_NEAR(offsets[1], 2.5, 1e-9);
  EXPECT_NEAR(offsets[2], -1.43841, 1e-5);
  EXPECT_NEAR(offsets[3], 2.02733, 1e-5);
}

// The example of "Dive into Deep Learning": five anchors, a dog and a cat. Every anchor is the only
// one of a map of one cell.
struct BookExample {
  static constexpr double kAnchors[5][4] = {{0, 0.1, 0.2, 0.3},
                                            {0.15, 0.2, 0.4, 0.4},
                                            {0.63, 0.05, 0.88, 0.98},
                                            {0.66, 0.45, 0.8, 0.8},
                                            {0.57, 0.3, 0.92, 0.9}};
  SsdLoss op;
  std::vector<HostTensor> inputs;

  BookExample() {
    op.classes = 2;
    for (const auto& corners : kAnchors) {
      const SsdPlace p = prior(corners[0], corners[1], corners[2], corners[3]);
      SsdMap map;
      map.sizes = {{static_cast<float>(p.w), static_cast<float>(p.h)}};
      map.cells_x = static_cast<float>(0.5 / p.cx), map.cells_y = static_cast<float>(0.5 / p.cy);
      op.maps.push_back(map);
      inputs.push_back({{1, 7, 1, 1}, std::vector<double>(7, 0.0)});
    }
    const SsdPlace dog = prior(0.1, 0.08, 0.52, 0.92), cat = prior(0.55, 0.2, 0.9, 0.88);
    inputs.push_back(boxes({{0, dog.cx, dog.cy, dog.w, dog.h}, {1, cat.cx, cat.cy, cat.w, cat.h}}));
  }
};

TEST(SsdLoss, LabelsOfTheBook) {
  BookExample example;
  const OpResult result = run(example.op, example.inputs);
  const int labels[] = {0, 1, 2, 0, 2};
  for (int anchor = 0; anchor < 5; ++anchor) {
    for (int c = 0; c < 3; ++c) {  // scores are equal: (1/3 - is label) / positives
      const double expected = (1.0 / 3 - (labels[anchor] == c ? 1 : 0)) / 3;
      EXPECT_NEAR(result.dx[anchor].v[4 + c], expected, 1e-6) << "anchor " << anchor;
    }
  }
}

TEST(SsdLoss, OffsetsOfTheBook) {
  // The book adds 1e-6 inside the logarithm.
  const double offsets[5][4] = {{},
                                {1.4, 10, 2.59397, 7.17542},
                                {-1.2, 0.268817, 1.68236, -1.56546},
                                {},
                                {-0.571429, -1, 0, 0.625816}};
  BookExample example;
  for (int anchor : {1, 2, 4}) {
    for (int k = 0; k < 4; ++k) example.inputs[anchor].v[k] = offsets[anchor][k] + 0.25;
  }
  const OpResult result = run(example.op, example.inputs);
  for (int anchor : {1, 2, 4}) {
    for (int k = 0; k < 4; ++k) {
      EXPECT_NEAR(result.dx[anchor].v[k], 0.25 / 3, 1e-4) << anchor << ", " << k;
    }
  }
  for (int anchor : {0, 3}) EXPECT_EQ(result.dx[anchor].v[0], 0.0);
}

TEST(SsdLoss, TakesTheHardestNegatives) {
  SsdLoss op;
  op.classes = 1;
  op.negatives = 2.0f;
  op.maps = {{{{0.25f, 0.25f}}, 0, 0}};
  HostTensor map{{1, 6, 4, 4}, std::vector<double>(96, 0.0)};
  for (int cell = 0; cell < 16; ++cell) {  // the more its object score, the harder
    map.v[static_cast<std::size_t>(5 * 16 + cell)] = cell == 7 || cell == 9 ? 3.0 : -0.1 * cell;
  }
  // One truth exactly on cell 0.
  const OpResult result = run(op, {map, boxes({{0, 0.125, 0.125, 0.25, 0.25}})});
  for (int cell = 0; cell < 16; ++cell) {
    const bool used = cell == 0 || cell == 7 || cell == 9;
    EXPECT_EQ(result.dx[0].v[static_cast<std::size_t>(5 * 16 + cell)] != 0.0, used) << cell;
  }
}

TEST(SsdLoss, NoTruthGivesNoLoss) {
  SsdLoss op;
  op.maps = {{{{0.25f, 0.25f}}, 0, 0}};
  const HostTensor map{{1, 6, 4, 4}, std::vector<double>(96, 0.5)};
  const OpResult result = run(op, {map, boxes({{-1, 0, 0, 0, 0}})});
  EXPECT_EQ(result.y.v[0], 0.0);
  for (const double value : result.dx[0].v) EXPECT_EQ(value, 0.0);
}

}  // namespace
}  // namespace daybreak
