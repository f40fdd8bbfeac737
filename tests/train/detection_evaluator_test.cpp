#include "train/detection_evaluator.h"

#include <gtest/gtest.h>

namespace daybreak {
namespace {

constexpr int kGrid = 4, kInput = 64, kCells = kGrid * kGrid;

// A head of one anchor of 32 x 16 pixels and two classes that sees nothing but what is put in.
struct Picture {
  Graph graph;
  std::vector<float> values = std::vector<float>(7 * kCells, 0.0f);

  Picture() {
    DetectionHead head;
    head.anchors = {{32.0f, 16.0f}};
    head.mask = {0};
    head.classes = 2;
    graph.heads.push_back(head);
    for (int cell = 0; cell < kCells; ++cell) values[4 * kCells + cell] = -20.0f;
  }
  void put(int x, int y, int category, float score) {
    const int cell = y * kGrid + x;
    values[4 * kCells + cell] = score;
    for (int c = 0; c < 2; ++c) values[(5 + c) * kCells + cell] = c == category ? 20.0f : -20.0f;
  }
  std::vector<Detection> find(Fit fit, int w, int h) const {
    return find_objects(graph, {values.data()}, {{kGrid, kGrid, kInput, kInput}}, fit, w, h,
                        {.conf = 0.005f, .nms = 0.45f, .nms_kind = {}});
  }
};

TEST(FindObjects, BringsBoxesBackToThePicture) {
  Picture picture;
  picture.put(1, 2, 1, 20.0f);  // centre (24, 40) of 64 x 64, size 32 x 16
  const std::vector<Detection> stretched = picture.find(Fit::stretch, 640, 480);
  ASSERT_EQ(stretched.size(), 1u);
  EXPECT_EQ(stretched[0].category, 1);
  EXPECT_NEAR(stretched[0].score, 1.0f, 1e-5f);
  EXPECT_NEAR(stretched[0].box.cx, 24.0 / 64, 1e-6);
  EXPECT_NEAR(stretched[0].box.cy, 40.0 / 64, 1e-6);
  EXPECT_NEAR(stretched[0].box.w, 0.5, 1e-6);
  EXPECT_NEAR(stretched[0].box.h, 0.25, 1e-6);
  // Letterboxed, the picture has the 48 rows from row 8 on.
  const std::vector<Detection> letterboxed = picture.find(Fit::letterbox, 640, 480);
  ASSERT_EQ(letterboxed.size(), 1u);
  EXPECT_NEAR(letterboxed[0].box.cx, 24.0 / 64, 1e-6);
  EXPECT_NEAR(letterboxed[0].box.cy, (40.0 - 8) / 48, 1e-6);
  EXPECT_NEAR(letterboxed[0].box.h, 16.0 / 48, 1e-6);
}

TEST(FindObjects, ThinsOutWithinAClass) {
  Picture picture;
  picture.put(1, 1, 0, 3.0f);
  picture.put(2, 1, 0, 2.0f);  // 16 pixels to the right: IoU 1/3
  EXPECT_EQ(picture.find(Fit::stretch, 64, 64).size(), 2u);
  picture.graph.heads[0].anchors = {{128.0f, 64.0f}};  // now they overlap by 7/9
  const std::vector<Detection> kept = picture.find(Fit::stretch, 64, 64);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_NEAR(kept[0].box.cx, 24.0 / 64, 1e-6);
  picture.put(2, 1, 1, 2.0f);  // of another class
  EXPECT_EQ(picture.find(Fit::stretch, 64, 64).size(), 2u);
}

}  // namespace
}  // namespace daybreak
