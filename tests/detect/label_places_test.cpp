#include "detect/label_places.h"

#include <gtest/gtest.h>

#include <random>

namespace daybreak {
namespace {

constexpr int kWidth = 640, kHeight = 480;

bool overlap(const PixelRect& a, const PixelRect& b) {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

void expect_inside(const PixelRect& r) {
  EXPECT_GE(r.x, 0);
  EXPECT_GE(r.y, 0);
  EXPECT_LE(r.x + r.w, kWidth);
  EXPECT_LE(r.y + r.h, kHeight);
}

TEST(LabelPlaces, AboveElseInside) {
  const auto places =
      place_labels({{{100, 100, 200, 80}, 60, 20}, {{300, 5, 100, 100}, 60, 20}}, kWidth, kHeight);
  EXPECT_EQ(places[0], (PixelRect{100, 80, 60, 20}));
  EXPECT_EQ(places[1], (PixelRect{300, 5, 60, 20}));
}

TEST(LabelPlaces, NeverBeyondTheEdge) {
  const auto places = place_labels({{{620, 200, 20, 20}, 90, 20},
                                    {{0, 0, kWidth, kHeight}, 90, 20},
                                    {{-40, 470, 60, 10}, 90, 20}},
                                   kWidth, kHeight);
  for (const PixelRect& r : places) expect_inside(r);
}

TEST(LabelPlaces, TheLastFrameChoosesFirst) {
  const FrameLabel same{{100, 100, 200, 200}, 80, 20};
  const auto places = place_labels({same, same, same}, kWidth, kHeight);
  EXPECT_EQ(places[2], (PixelRect{100, 80, 80, 20}));
  EXPECT_EQ(places[1], (PixelRect{220, 80, 80, 20}));
  EXPECT_EQ(places[0], (PixelRect{100, 100, 80, 20}));
}

// Ten frames on one another are the worst that NMS and 80 classes leave in practice.
TEST(LabelPlaces, NoneHidesAnother) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<FrameLabel> labels;
    const int x = static_cast<int>(random() % 400), y = static_cast<int>(random() % 300);
    for (int i = 0; i < 10; ++i) {
      const auto jitter = [&] { return static_cast<int>(random() % 12); };
      labels.push_back(
          {{x + jitter(), y + jitter(), 150 + jitter(), 120 + jitter()}, 60 + 4 * jitter(), 18});
    }
    const auto places = place_labels(labels, kWidth, kHeight);
    for (std::size_t a = 0; a < places.size(); ++a) {
      expect_inside(places[a]);
      EXPECT_EQ(places[a].w, labels[a].w);
      for (std::size_t b = 0; b < a; ++b) EXPECT_FALSE(overlap(places[a], places[b])) << round;
    }
  }
}

TEST(LabelPlaces, WithoutRoomTheLeastIsHidden) {
  const std::vector<FrameLabel> labels(40, {{0, 0, 50, 30}, 50, 15});
  const auto places = place_labels(labels, 50, 30);
  for (const PixelRect& r : places) EXPECT_TRUE(r.x == 0 && (r.y == 0 || r.y == 15));
  EXPECT_TRUE(place_labels({{{0, 0, 5, 5}, 0, 0}}, 50, 30)[0] == PixelRect{});
  EXPECT_EQ(place_labels({{{0, 0, 1, 1}, 30, 9}}, 1, 1)[0], (PixelRect{0, 0, 30, 9}));
}

}  // namespace
}  // namespace daybreak
