#include "report/png_plot.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "demo_report.h"
#include "report/canvas.h"

namespace daybreak {
namespace {

Colour pixel(const Image& image, int x, int y) {
  const auto at = static_cast<std::size_t>((y * image.w + x) * image.c);
  return static_cast<Colour>(image.hwc[at]) << 16 | static_cast<Colour>(image.hwc[at + 1]) << 8 |
         image.hwc[at + 2];
}

std::map<Colour, int> colours_of(const Image& image) {
  std::map<Colour, int> counts;
  for (int y = 0; y < image.h; ++y) {
    for (int x = 0; x < image.w; ++x) ++counts[pixel(image, x, y)];
  }
  return counts;
}

TEST(PngPlot, DrawsEveryCurveInItsColour) {
  const ReportData data = demo_report();
  const std::vector<Plot> plots = report_plots(data);
  ASSERT_EQ(plots.size(), 5u);
  const Image image = plot_picture(plots, 2);
  EXPECT_EQ(image.w, 2 * (2 * 560 + 16));
  EXPECT_EQ(image.h, 2 * (3 * 280 + 16));
  std::map<Colour, int> colours = colours_of(image);
  for (const int index : {0, 1, 3, 5}) {
    EXPECT_GT(colours[palette_colour(index, /*dark=*/false)], 500) << index;
  }
  EXPECT_GT(colours[0xFFFFFF], image.w * image.h / 2);
}

TEST(PngPlot, FilesDecodeToWhatWasDrawn) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("daybreak-plot-" + std::to_string(::getpid()) + ".png");
  const Image image = plot_picture(report_plots(demo_report()), 2);
  write_png(file.string(), image);
  const Image back = load_image(file.string());
  std::filesystem::remove(file);
  EXPECT_EQ(back.w, image.w);
  EXPECT_EQ(back.h, image.h);
  EXPECT_EQ(back.c, 3);
  EXPECT_TRUE(back.hwc == image.hwc);
}

TEST(PngPlot, SurvivesEmptyAndOddPlots) {
  EXPECT_EQ(plot_picture({}, 2).w, 0);
  Plot odd;
  odd.x.scale = Scale::log;
  odd.series = {{"a", {-1.0, 1e-300, 1e300}, {1e300, -1e300, kNoValue}}};
  odd.markers = {{1.0,
                  "stra\xC3\x9F"
                  "e",
                  2.0, 0}};
  EXPECT_GT(plot_picture({odd, Plot{}}, 0).w, 0);
}

TEST(ConfusionPicture, ShadesCells) {
  ClassificationMetrics metrics(2, 0);
  for (int i = 0; i < 10; ++i) {
    metrics.add(std::vector<float>{1.0f, 0.0f}, std::vector<int>{0}, i);
    metrics.add(std::vector<float>{i < 2 ? 1.0f : 0.0f, 0.5f}, std::vector<int>{1}, i);
  }
  std::map<Colour, int> colours = colours_of(confusion_picture(metrics.result(), {"cat", "dog"}));
  EXPECT_GT(colours[blend(0xFFFFFF, 0x15924F, 0.85)], 5000);                   // all cats
  EXPECT_GT(colours[blend(0xFFFFFF, 0x15924F, 0.85 * std::sqrt(0.8))], 5000);  // 8 of 10 dogs
  EXPECT_GT(colours[blend(0xFFFFFF, 0xD02F4B, 0.85 * std::sqrt(0.2))], 5000);  // 2 of 10
}

TEST(ConfusionPicture, FitsManyClasses) {
  for (const int classes : {1, 2, 40, 300, 1000}) {
    const Image image = confusion_picture(demo_metrics(classes, classes * 2, 0), {});
    EXPECT_GT(image.w, 0);
    EXPECT_LT(image.w, 2400) << classes;
    EXPECT_LT(image.h, 2400) << classes;
  }
  EXPECT_EQ(confusion_picture(demo_metrics(kMaxConfusionClasses + 1, 2, 0), {}).w, 0);
}

TEST(PictureGrid, EnlargesWithoutBlur) {
  Image red;
  red.reshape(2, 2, 3);
  red.hwc = {200, 0, 0, 0, 100, 0, 0, 0, 50, 255, 255, 0};
  Image grey;
  grey.reshape(1, 2, 1);
  grey.hwc = {10, 90};
  const Image grid = picture_grid({red, grey, red}, {"one", "two\nlines"}, 2, 30);
  ASSERT_EQ(grid.c, 3);
  // Cells are 60 x 60 with gaps of 10; two caption lines of 15.
  EXPECT_EQ(grid.w, 2 * 70 + 10);
  EXPECT_EQ(grid.h, 2 * (60 + 10 + 30) + 10);
  EXPECT_EQ(pixel(grid, 10, 10), 0xC80000u);
  EXPECT_EQ(pixel(grid, 39, 39), 0xC80000u);
  EXPECT_EQ(pixel(grid, 40, 39), 0x006400u);
  EXPECT_EQ(pixel(grid, 69, 69), 0xFFFF00u);
  EXPECT_EQ(pixel(grid, 80 + 20, 12), 0x0A0A0Au);  // the narrow one is centred in its cell
  EXPECT_EQ(pixel(grid, 80 + 30, 60), 0x5A5A5Au);
  EXPECT_EQ(pixel(grid, 80 + 5, 12), 0xFFFFFFu);
  EXPECT_EQ(pixel(grid, 10, 110), 0xC80000u);
  EXPECT_EQ(picture_grid({}, {}, 4, 2).w, 0);
  EXPECT_EQ(picture_grid({red}, {}, 0, 0).w, 112 + 20);  // 56 times enlarged
  EXPECT_EQ(picture_grid({demo_picture(1, 448, 3)}, {}, 1, 0).h, 224 + 20);
}

TEST(MistakesPicture, ShowsAllWithCaptions) {
  const ReportData data = demo_report();
  const Image image = mistakes_picture(data);
  EXPECT_EQ(image.w, 6 * (112 + 10) + 10);
  EXPECT_EQ(image.h, 4 * (112 + 10 + 45) + 10);
  EXPECT_EQ(mistakes_picture(ReportData{}).w, 0);
}

TEST(CanvasTest, CutsTextThatIsTooWide) {
  EXPECT_EQ(Canvas::fit_text("shirt", 11, 200), "shirt");
  const std::string cut = Canvas::fit_text("a very long class name", 11, 60);
  EXPECT_TRUE(cut.ends_with(".."));
  EXPECT_LE(Canvas::text_width(cut, 11), 60);
  EXPECT_EQ(Canvas::fit_text("abc", 11, 1), "");
}

}  // namespace
}  // namespace daybreak
