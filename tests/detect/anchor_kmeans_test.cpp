#include "detect/anchor_kmeans.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/philox.h"

namespace daybreak {
namespace {

TEST(AnchorKmeans, ShapeIou) {
  EXPECT_DOUBLE_EQ(shape_iou({2, 4}, {4, 2}), 4.0 / 12);
  EXPECT_DOUBLE_EQ(shape_iou({3, 3}, {3, 3}), 1.0);
  EXPECT_DOUBLE_EQ(shape_iou({0, 3}, {0, 3}), 0.0);
}

// Shapes scattered closely around known ones.
std::vector<BoxShape> clouds(const std::vector<BoxShape>& centres, int each) {
  Draws draws(1, Purpose::synthetic, 0, 0);
  std::vector<BoxShape> shapes;
  for (int i = 0; i < each; ++i) {
    for (const BoxShape& centre : centres) {
      shapes.push_back(
          {centre[0] * draws.uniform(0.95f, 1.05f), centre[1] * draws.uniform(0.95f, 1.05f)});
    }
  }
  return shapes;
}

TEST(AnchorKmeans, FindsTheClouds) {
  const std::vector<BoxShape> centres = {{10, 12}, {30, 15}, {20, 60}, {80, 70}, {200, 220}};
  const AnchorClusters found = cluster_anchors(clouds(centres, 200), 5, 3);
  ASSERT_EQ(found.anchors.size(), 5u);
  for (std::size_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(found.anchors[k][0], centres[k][0], 0.02 * centres[k][0]);
    EXPECT_NEAR(found.anchors[k][1], centres[k][1], 0.02 * centres[k][1]);
    EXPECT_EQ(found.counts[k], 200);
  }
  EXPECT_GT(found.mean_iou, 0.93);
  EXPECT_GT(found.worst_iou, 0.85);
}

TEST(AnchorKmeans, TheSameSeedGivesTheSameAnchors) {
  const std::vector<BoxShape> shapes = clouds({{10, 12}, {30, 15}, {20, 60}}, 100);
  EXPECT_EQ(cluster_anchors(shapes, 6, 3).anchors, cluster_anchors(shapes, 6, 3).anchors);
}

TEST(AnchorKmeans, MoreAnchorsFitBetter) {
  const std::vector<BoxShape> shapes = clouds({{10, 12}, {30, 15}, {20, 60}, {90, 40}}, 50);
  double before = 0.0;
  for (const int count : {1, 2, 4, 8}) {
    const double now = cluster_anchors(shapes, count, 1).mean_iou;
    EXPECT_GT(now, before);
    before = now;
  }
}

TEST(AnchorKmeans, FewShapes) {
  const AnchorClusters exact = cluster_anchors({{3, 4}, {3, 4}, {9, 2}}, 2, 1);
  EXPECT_DOUBLE_EQ(exact.mean_iou, 1.0);
  EXPECT_THROW(cluster_anchors({{3, 4}, {3, 4}, {9, 2}}, 3, 1), DataError);
}

TEST(AnchorKmeans, ManyShapesAreThinned) {
  std::vector<BoxShape> shapes = clouds({{10, 12}, {100, 90}}, 60'000);
  const AnchorClusters found = cluster_anchors(shapes, 2, 1);
  EXPECT_EQ(found.counts[0] + found.counts[1], 120'000);
  EXPECT_NEAR(found.anchors[1][0], 100, 1);
}

}  // namespace
}  // namespace daybreak
