#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/command.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

// Weights that other people trained: Yolo-Fastest 1.1, imported, finds what its own Darknet finds.

namespace daybreak {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

Json read_json(const std::string& path) {
  return Json::parse(std::ifstream(path));
}

double overlap(const Json& a, const Json& b) {
  const auto edge = [](const Json& box, int i) { return box[i].get<double>(); };
  const auto common = [&](int i) {
    return std::max(0.0, std::min(edge(a, i) + edge(a, i + 2), edge(b, i) + edge(b, i + 2)) -
                             std::max(edge(a, i), edge(b, i)));
  };
  const double both = common(0) * common(1);
  return both / (edge(a, 2) * edge(a, 3) + edge(b, 2) * edge(b, 3) - both);
}

// Our box for an expected one: same class, largest overlap.
const Json* find_match(const Json& detections, const Json& expected) {
  const Json* best = nullptr;
  for (const Json& d : detections) {
    if (d["category"] != expected["class"]) continue;
    if (!best ||
        overlap(d["bbox"], expected["bbox"]) > overlap((*best)["bbox"], expected["bbox"])) {
      best = &d;
    }
  }
  return best;
}

class YoloFastest : public testing::Test {
 protected:
  void SetUp() override {
    cfg_ = test::shared_data("weights/yolo-fastest-1.1.cfg");
    if (cfg_.empty()) GTEST_SKIP() << "no shared weights beside the checkout";
    weights_ = cfg_.substr(0, cfg_.size() - 3) + "weights";
    images_ = test::shared_data("images");
    const CommandResult import =
        daybreak({"import", "darknet", cfg_, weights_, "--out", folder_ / "net"});
    ASSERT_EQ(import.exit_code, 0) << import.err;
    net_ = folder_ / "net/yolo-fastest-1.1.yaml";
  }

  test::TempFolder folder_;
  std::string cfg_, weights_, images_, net_;
};

TEST_F(YoloFastest, FindsTheBoxesOfItsOwnDarknet) {
  const CommandResult detect = daybreak(
      {"detect", net_, images_, "--json", folder_ / "found.json", "--out", folder_ / "drawn"});
  ASSERT_EQ(detect.exit_code, 0) << detect.err;
  EXPECT_THAT(detect.out, HasSubstr("dog.jpg: "));
  EXPECT_THAT(detect.out, HasSubstr(" ms, nms "));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "drawn/dog.png"));
  const Json expected =
      read_json(test::shared_data("weights/yolo-fastest-1.1.expected.json"))["detections"];
  int compared = 0;
  for (const Json& picture : read_json(folder_ / "found.json")) {
    const std::string name =
        std::filesystem::path(picture["image"].get<std::string>()).filename().string();
    SCOPED_TRACE(name);
    if (!expected.contains(name)) continue;  // its own Darknet was not asked about this one
    const Json& wanted = expected[name];
    for (const Json& box : wanted) {
      if (box["score"].get<double>() < 0.3) continue;
      const Json* match = find_match(picture["detections"], box);
      ASSERT_NE(match, nullptr) << box;
      EXPECT_GE(overlap((*match)["bbox"], box["bbox"]), 0.9) << box << *match;
      EXPECT_NEAR((*match)["score"].get<double>(), box["score"].get<double>(), 0.02) << box;
      ++compared;
    }
    for (const Json& d : picture["detections"]) {
      if (d["score"].get<double>() <= 0.35) continue;
      const bool known = std::any_of(wanted.begin(), wanted.end(), [&](const Json& box) {
        return d["category"] == box["class"] && overlap(d["bbox"], box["bbox"]) >= 0.9;
      });
      EXPECT_TRUE(known) << "not in Darknet's list: " << d;
    }
  }
  EXPECT_GE(compared, 20);
}

TEST_F(YoloFastest, RefusesBytesThatAreNotItsOwn) {
  std::string bytes = test::read_text(weights_);
  const auto import = [&](const std::string& content) {
    test::write_text(folder_ / "w.weights", content);
    return daybreak({"import", "darknet", cfg_, folder_ / "w.weights", "--out", folder_ / "x"});
  };
  const CommandResult shorter = import(bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(shorter.exit_code, 4);
  EXPECT_THAT(shorter.err, HasSubstr("the first layer not filled is"));
  EXPECT_THAT(shorter.err, HasSubstr("1,384,268 needed"));
  const CommandResult longer = import(bytes + "12");
  EXPECT_EQ(longer.exit_code, 4);
  EXPECT_THAT(longer.err, HasSubstr("2 left over"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
}

}  // namespace
}  // namespace daybreak
