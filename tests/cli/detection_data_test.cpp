#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image.h"
#include "support/command.h"
#include "support/temp_folder.h"

// The verbs that look at detection sets, as a user meets them.

namespace daybreak {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// Eight grey pictures of 80 x 60 with two boxes each, and a small detector for them.
class DetectionData : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 8; ++i) {
      Image image;
      image.reshape(80, 60, 3);
      std::fill(image.hwc.begin(), image.hwc.end(), static_cast<std::uint8_t>(90 + i));
      const auto png = encode_png(image.view());
      write(fmt::format("images/{}.png", i), std::string(png.begin(), png.end()));
      write(fmt::format("labels/{}.txt", i),
            fmt::format("0 0.5 0.5 0.2 0.4\n1 0.3 0.4 {} 0.5\n", 0.4 + 0.01 * i));
    }
    write("data.yaml", "train: images\nval: images\nnames: [wide, high]\n");
    write("set.yaml", "sources:\n  - yolo: {dir: .}\n");
    write("net.yaml",
          "input: {channels: 3, height: 32, width: 64, mean: [0, 0, 0], std: [1, 1, 1]}\n"
          "layers:\n"
          "  - conv: {filters: 8, size: 3, stride: 8}\n"
          "  - conv: {filters: 14, size: 1}\n"
          "  - yolo: {anchors: [[10, 10], [20, 20]], classes: 2}\n");
    write("solver.yaml",
          "net: net.yaml\ndata: {descriptor: set.yaml}\nbatch: 4\nlr: 0.01\nlength: 1e\n"
          "augment: [{mosaic: 0.5}, {jitter: 0.2}, {flip: 0.5}]\n");
  }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(dir / name).parent_path());
    test::write_text(dir / name, text);
  }

  test::TempFolder dir;
};

TEST_F(DetectionData, AnchorsOfADataFile) {
  const CommandResult result =
      daybreak({"anchors", dir / "set.yaml", "--count", "2", "--size", "40x100", "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_NEAR(json["anchors"][0][0].get<double>(), 20, 0.01);  // 0.2 of 100
  EXPECT_NEAR(json["anchors"][0][1].get<double>(), 16, 0.01);  // 0.4 of 40
  EXPECT_NEAR(json["anchors"][1][0].get<double>(), 43.5, 0.01);
  EXPECT_EQ(json["counts"], (std::vector<int>{8, 8}));
  EXPECT_EQ(json["boxes"], 16);
  EXPECT_GT(json["mean_iou"].get<double>(), 0.95);
}

TEST_F(DetectionData, AnchorsOfASolverHaveALineToPaste) {
  const CommandResult result = daybreak({"anchors", dir / "solver.yaml", "--count", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("16 boxes at 32x64: mean IoU 0.9"));
  EXPECT_THAT(result.out, HasSubstr("\nanchors: [[12.8, 12.8], [27.8, 16.0]]\n"));
}

TEST_F(DetectionData, AnchorsThatCannotBe) {
  const CommandResult no_size = daybreak({"anchors", dir / "set.yaml"});
  EXPECT_EQ(no_size.exit_code, 2);
  EXPECT_THAT(no_size.err, HasSubstr("--size"));
  const CommandResult many =
      daybreak({"anchors", dir / "set.yaml", "--size", "64", "--count", "20"});
  EXPECT_EQ(many.exit_code, 4);
  EXPECT_THAT(many.err, HasSubstr("20 anchors cannot be found among"));
  write("classes.yaml", "sources: [synthetic]\n");
  const CommandResult classes = daybreak({"anchors", dir / "classes.yaml", "--size", "64"});
  EXPECT_EQ(classes.exit_code, 2);
  EXPECT_THAT(classes.err, HasSubstr("has no boxes"));
  EXPECT_EQ(daybreak({"anchors", dir / "none.yaml", "--size", "64"}).exit_code, 2);
}

TEST_F(DetectionData, ABadLabelIsNamedWithItsLine) {
  write("labels/3.txt", "0 0.5 0.5 0.2 0.4\n0 0.5 0.5 -0.2 0.4\n");
  const CommandResult result = daybreak({"anchors", dir / "set.yaml", "--size", "64"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("labels/3.txt:2: error: box"));
  const CommandResult skipped = daybreak(
      {"anchors", dir / "set.yaml", "--size", "64", "--count", "2", "--set", "on_bad_label=skip"});
  EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("could not be used and left out"));
}

TEST_F(DetectionData, PreviewDrawsTheBoxes) {
  const std::string out = dir / "preview.png";
  const CommandResult result =
      daybreak({"preview", dir / "solver.yaml", "--out", out, "--count", "8"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Image picture = load_image(out, 3);
  int coloured = 0;  // the pictures are grey, the frames are not
  for (std::size_t i = 0; i < picture.hwc.size(); i += 3) {
    const auto [low, high] = std::minmax({picture.hwc[i], picture.hwc[i + 1], picture.hwc[i + 2]});
    coloured += high - low > 60;
  }
  EXPECT_GT(coloured, 300);
}

}  // namespace
}  // namespace daybreak
