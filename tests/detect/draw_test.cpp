#include "detect/draw.h"

#include <gtest/gtest.h>

#include <set>

namespace daybreak {
namespace {

std::uint32_t pixel(const std::vector<std::uint8_t>& rgb, int width, int x, int y) {
  const std::uint8_t* p = rgb.data() + 3 * (static_cast<std::size_t>(y) * width + x);
  return static_cast<std::uint32_t>(p[0]) << 16 | static_cast<std::uint32_t>(p[1]) << 8 | p[2];
}

TEST(Draw, FramesInTheCategorysColour) {
  std::vector<std::uint8_t> rgb(3 * 100 * 80, 0);
  draw_boxes(rgb.data(), 100, 80, {{20, 40, 60, 70, 5, ""}});
  EXPECT_EQ(pixel(rgb, 100, 20, 55), category_colour(5));
  EXPECT_EQ(pixel(rgb, 100, 40, 70), category_colour(5));
  EXPECT_EQ(pixel(rgb, 100, 40, 55), 0u);  // the inside stays
}

TEST(Draw, LabelsStandOnTheColour) {
  std::vector<std::uint8_t> rgb(3 * 300 * 200, 0);
  draw_boxes(rgb.data(), 300, 200, {{20, 80, 160, 150, 5, "dog 65%"}});
  int coloured = 0, letters = 0;
  for (int y = 50; y < 80; ++y) {
    for (int x = 20; x < 160; ++x) {
      coloured += pixel(rgb, 300, x, y) == category_colour(5);
      letters += pixel(rgb, 300, x, y) != category_colour(5) && pixel(rgb, 300, x, y) != 0;
    }
  }
  EXPECT_GT(coloured, 300);
  EXPECT_GT(letters, 30);
}

// Nothing is written outside of the picture, whatever the box and however small the picture.
TEST(Draw, StaysInside) {
  for (const auto& [w, h] : {std::pair{1, 1}, std::pair{3, 200}, std::pair{64, 48}}) {
    std::vector<std::uint8_t> rgb(static_cast<std::size_t>(3 * w * h) + 64, 7);
    draw_boxes(rgb.data(), w, h,
               {{-50, -50, 5000, 5000, 1, "a label longer than the picture"},
                {w - 1.0, h - 1.0, w + 10.0, h + 10.0, 2, "\xc3\xa4x"}});
    for (std::size_t i = static_cast<std::size_t>(3 * w * h); i < rgb.size(); ++i) {
      ASSERT_EQ(rgb[i], 7);
    }
  }
}

TEST(Draw, ColoursDiffer) {
  std::set<std::uint32_t> colours;
  for (int c = 0; c < 80; ++c) colours.insert(category_colour(c));
  EXPECT_EQ(colours.size(), 80u);
}

}  // namespace
}  // namespace daybreak
