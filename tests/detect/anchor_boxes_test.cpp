#include "detect/anchor_boxes.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"

namespace daybreak {
namespace {

void expect_corners(const Box& box, const std::array<double, 4>& corners, double near) {
  EXPECT_NEAR(box.cx - box.w / 2, corners[0], near);
  EXPECT_NEAR(box.cy - box.h / 2, corners[1], near);
  EXPECT_NEAR(box.cx + box.w / 2, corners[2], near);
  EXPECT_NEAR(box.cy + box.h / 2, corners[3], near);
}

// semantics.md 6.2.
TEST(GridAnchors, VectorsOfTheSemantics) {
  const std::vector<Box> boxes = grid_anchors(4, 8, {0.75, 0.5, 0.25}, {1, 2, 0.5});
  ASSERT_EQ(boxes.size(), 4u * 8 * 5);
  const Box* cell = &boxes[(1 * 8 + 2) * 5];
  expect_corners(cell[0], {.125, 0, .5, .75}, 1e-6);
  expect_corners(cell[1], {.1875, .125, .4375, .625}, 1e-6);
  expect_corners(cell[2], {.25, .25, .375, .5}, 1e-6);
  expect_corners(cell[3], {.047335, .109835, .577665, .640165}, 1e-6);
  expect_corners(cell[4], {.179917, -.15533, .445083, .90533}, 1e-6);
  const std::vector<Box> book = grid_anchors(561, 728, {0.75, 0.5, 0.25}, {1, 2, 0.5});
  expect_corners(book[(std::size_t{250} * 728 + 250) * 5], {.0551168, .0715241, .63307, .821524},
                 2e-6);
}

TEST(GridAnchors, TinySsdHas5444Boxes) {
  std::size_t boxes = 0;
  for (const int side : {32, 16, 8, 4, 1}) {
    boxes += grid_anchors(side, side, {.2, .272}, {1, 2, .5}).size();
  }
  EXPECT_EQ(boxes, 5444u);
}

TEST(SsdAnchors, Ssd300) {
  const std::vector<int> sides = {38, 19, 10, 5, 3, 1};
  const std::vector<double> steps = {8, 16, 32, 64, 100, 300};
  const std::vector<double> sizes = {.1, .2, .37, .54, .71, .88, 1.05};
  std::vector<Box> all;
  for (std::size_t k = 0; k < sides.size(); ++k) {
    SsdMap map{sides[k], sides[k], 300 / steps[k], 300 / steps[k], sizes[k], sizes[k + 1], {2}};
    if (k >= 1 && k <= 3) map.ratios = {2, 3};
    const std::vector<Box> boxes = ssd_anchors(map);
    all.insert(all.end(), boxes.begin(), boxes.end());
  }
  ASSERT_EQ(all.size(), 8732u);
  const Box* inner = &all[(19 * 38 + 19) * 4];  // not cut
  EXPECT_NEAR(inner[0].cx, 19.5 / 37.5, 1e-6);
  EXPECT_NEAR(inner[0].w, 0.1, 1e-6);
  EXPECT_NEAR(inner[1].w, 0.141421, 1e-6);
  EXPECT_NEAR(inner[2].w, 0.141421, 1e-6);
  EXPECT_NEAR(inner[2].h, 0.0707107, 1e-6);
  EXPECT_NEAR(inner[3].h, 0.141421, 1e-6);
  for (const Box& box : all) {
    EXPECT_GE(box.cx - box.w / 2, -1e-6f);
    EXPECT_LE(box.cy + box.h / 2, 1 + 1e-6f);
  }
}

TEST(AnchorBoxes, RefuseWhatCannotBe) {
  EXPECT_THROW(grid_anchors(0, 4, {0.5}, {1}), ConfigError);
  EXPECT_THROW(grid_anchors(4, 4, {}, {1}), ConfigError);
  EXPECT_THROW(grid_anchors(4, 4, {0.5}, {}), ConfigError);
  EXPECT_THROW(grid_anchors(4, 4, {-0.5}, {1}), ConfigError);
  EXPECT_THROW(grid_anchors(4, 4, {0.5}, {std::nan("")}), ConfigError);
  EXPECT_THROW(ssd_anchors({4, 4, 0, 0, 0.1, 0.0, {2}}), ConfigError);
}

}  // namespace
}  // namespace daybreak
