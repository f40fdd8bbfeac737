#include "detect/decode.h"

#include <gtest/gtest.h>

#include <cmath>

namespace daybreak {
namespace {

// The worked example: t = (.2, -.1, .3, -.4) in cell (column 3, row 5) of 13 x 13, anchor 116 x 90,
// network 416 x 416.
constexpr int kSide = 13;
const HeadMap kMap{kSide, kSide, 416, 416};

DetectionHead head_of(int classes) {
  DetectionHead head;
  head.anchors = {{10.0f, 20.0f}, {116.0f, 90.0f}};
  head.mask = {1};
  head.classes = classes;
  return head;
}

// A map where every cell but one has no object at all.
std::vector<float> raw_of(const std::vector<float>& numbers, float elsewhere = -50.0f) {
  std::vector<float> raw(numbers.size() * kSide * kSide, elsewhere);
  for (std::size_t e = 0; e < numbers.size(); ++e) {
    raw[e * kSide * kSide + 5 * kSide + 3] = numbers[e];
  }
  return raw;
}

std::vector<Detection> decode(const DetectionHead& head, const std::vector<float>& raw,
                              float threshold = 0.1f) {
  std::vector<Detection> found;
  decode_head(head, kMap, raw.data(), threshold, found);
  return found;
}

void expect_box(const Box& box, float cx, float cy, float w, float h) {
  EXPECT_NEAR(box.cx, cx, 2e-6);
  EXPECT_NEAR(box.cy, cy, 2e-6);
  EXPECT_NEAR(box.w, w, 2e-6);
  EXPECT_NEAR(box.h, h, 2e-6);
}

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

TEST(Decode, YoloWorkedExample) {
  const auto found = decode(head_of(2), raw_of({0.2f, -0.1f, 0.3f, -0.4f, 2.0f, 1.0f, -3.0f}));
  ASSERT_EQ(found.size(), 1u);
  expect_box(found[0].box, 0.273064f, 0.421155f, 0.376403f, 0.145021f);
  EXPECT_EQ(found[0].category, 0);
  EXPECT_NEAR(found[0].score, sigmoid(2.0) * sigmoid(1.0), 1e-6);
}

TEST(Decode, ScaleStretchesTheCell) {
  DetectionHead head = head_of(1);
  head.scale_x_y = 1.05f;
  const auto found = decode(head, raw_of({0.2f, -0.1f, 0.3f, -0.4f, 2.0f, 1.0f}));
  ASSERT_EQ(found.size(), 1u);
  expect_box(found[0].box, 0.273256f, 0.421059f, 0.376403f, 0.145021f);
}

TEST(Decode, NewCoordinatesArriveSquashed) {
  DetectionHead head = head_of(1);
  head.new_coords = true;
  const std::vector<float> raw = raw_of({0.6f, 0.4f, 0.55f, 0.5f, 0.9f, 0.8f}, 0.0f);
  auto found = decode(head, raw);
  ASSERT_EQ(found.size(), 1u);
  expect_box(found[0].box, 0.276923f, 0.415385f, 0.337404f, 0.216346f);
  EXPECT_NEAR(found[0].score, 0.72f, 1e-6);
  head.scale_x_y = 2.0f;
  found = decode(head, raw);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].box.cx, 0.284615f, 2e-6);
  EXPECT_NEAR(found[0].box.cy, 0.407692f, 2e-6);
}

// YOLOv2: sizes in cells, classes exclude each other.
TEST(Decode, Region) {
  DetectionHead head = head_of(2);
  head.kind = HeadKind::region;
  head.softmax = true;
  head.anchors[1] = {3.0f, 2.0f};
  const auto found = decode(head, raw_of({0.2f, -0.1f, 0.3f, -0.4f, 2.0f, 1.0f, 0.0f}));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NEAR(found[0].box.cx, (3 + sigmoid(0.2)) / 13, 2e-6);
  EXPECT_NEAR(found[0].box.w, std::exp(0.3) * 3 / 13, 2e-6);
  EXPECT_NEAR(found[0].box.h, std::exp(-0.4) * 2 / 13, 2e-6);
  EXPECT_NEAR(found[0].score, sigmoid(2.0) * sigmoid(1.0), 1e-6);  // softmax of (1, 0)
  EXPECT_NEAR(found[0].score + found[1].score, sigmoid(2.0), 1e-6);
}

// A class at or below the threshold is not reported, nor one whose objectness is.
TEST(Decode, ThresholdIsExclusive) {
  DetectionHead head = head_of(2);
  head.new_coords = true;
  const auto scores = [&](float objectness, float a, float b) {
    const auto found =
        decode(head, raw_of({0.5f, 0.5f, 0.5f, 0.5f, objectness, a, b}, 0.0f), 0.25f);
    return found.size();
  };
  EXPECT_EQ(scores(0.5f, 0.5f, 0.75f), 1u);  // 0.25 is not above 0.25
  EXPECT_EQ(scores(1.0f, 0.5f, 0.75f), 2u);
  EXPECT_EQ(scores(0.25f, 1.0f, 1.0f), 0u);
}

TEST(Decode, LeavesOutWhatIsNotFinite) {
  EXPECT_TRUE(decode(head_of(1), raw_of({0.0f, 0.0f, 1000.0f, 0.0f, 5.0f, 5.0f})).empty());
  EXPECT_TRUE(decode(head_of(1), raw_of({NAN, 0.0f, 0.0f, 0.0f, 5.0f, 5.0f})).empty());
  EXPECT_TRUE(decode(head_of(1), raw_of({0.0f, 0.0f, 0.0f, 0.0f, NAN, 5.0f})).empty());
}

}  // namespace
}  // namespace daybreak
