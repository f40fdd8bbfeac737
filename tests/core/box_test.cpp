#include "core/box.h"

#include <gtest/gtest.h>

namespace daybreak {
namespace {

// The worked example of the formulas: prediction (.5, .5, .4, .2), truth (.6, .55, .3, .3).
const Box kPrediction{0.5f, 0.5f, 0.4f, 0.2f};
const Box kTruth{0.6f, 0.55f, 0.3f, 0.3f};

TEST(Box, OverlapsOfTheWorkedExample) {
  EXPECT_NEAR(iou(kPrediction, kTruth), 0.416667, 1e-6);
  EXPECT_NEAR(giou(kPrediction, kTruth), 0.305556, 1e-6);
  EXPECT_NEAR(diou(kPrediction, kTruth), 0.373932, 1e-6);
  EXPECT_NEAR(diou(kPrediction, kTruth, 0.6), 0.265843, 1e-6);
  EXPECT_NEAR(ciou(kPrediction, kTruth), 0.371116, 1e-6);
}

TEST(Box, OverlapsAreSymmetricAndBounded) {
  EXPECT_DOUBLE_EQ(iou(kPrediction, kTruth), iou(kTruth, kPrediction));
  EXPECT_DOUBLE_EQ(iou(kPrediction, kPrediction), 1.0);
  EXPECT_DOUBLE_EQ(giou(kPrediction, kPrediction), 1.0);
  const Box far{5.0f, 5.0f, 0.1f, 0.1f};
  EXPECT_DOUBLE_EQ(iou(kPrediction, far), 0.0);
  EXPECT_LT(giou(kPrediction, far), -0.9);
  EXPECT_LT(diou(kPrediction, far), 0.0);
}

TEST(Box, EmptyBoxesOverlapNothing) {
  const Box empty{0.5f, 0.5f, 0.0f, 0.0f};
  EXPECT_DOUBLE_EQ(iou(empty, empty), 0.0);
  EXPECT_DOUBLE_EQ(giou(empty, empty), 0.0);
  EXPECT_DOUBLE_EQ(diou(empty, empty), 0.0);
  EXPECT_DOUBLE_EQ(iou(empty, kTruth), 0.0);
}

}  // namespace
}  // namespace daybreak
