#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <sstream>

#include "data/image.h"
#include "support/command.h"
#include "support/temp_folder.h"

// Detectors as a user trains them, on drawn pictures: squares and discs on a noisy ground.

namespace daybreak {
namespace {

using test::read_text;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

constexpr int kSide = 64;

struct Shape2d {
  int category;  // 0: square, 1: disc
  int x, y, size;
};

bool inside(const Shape2d& shape, int x, int y) {
  const double half = shape.size / 2.0;
  const double dx = x + 0.5 - shape.x - half, dy = y + 0.5 - shape.y - half;
  if (shape.category == 0) return std::abs(dx) < half && std::abs(dy) < half;
  return dx * dx + dy * dy < half * half;
}

std::vector<Shape2d> random_shapes(std::mt19937& random) {
  std::vector<Shape2d> shapes;
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int tries = 0; tries < 20 && shapes.size() < 3; ++tries) {
    const int size = 12 + below(14);
    const Shape2d shape{below(2), below(kSide - size), below(kSide - size), size};
    const bool free = std::all_of(shapes.begin(), shapes.end(), [&](const Shape2d& other) {
      return shape.x > other.x + other.size || other.x > shape.x + shape.size ||
             shape.y > other.y + other.size || other.y > shape.y + shape.size;
    });
    if (free) shapes.push_back(shape);
  }
  return shapes;
}

class DetectionTest : public testing::Test {
 protected:
  void SetUp() override {
    draw("train", 96, 1);
    draw("val", 32, 2);
    write("data/data.yaml", "train: images/train\nval: images/val\nnames: [square, disc]\n");
  }

  void draw(const std::string& part, int count, unsigned seed) {
    std::mt19937 random(seed);
    fs::create_directories(folder_ / ("data/images/" + part));
    fs::create_directories(folder_ / ("data/labels/" + part));
    for (int i = 0; i < count; ++i) {
      const std::vector<Shape2d> shapes = random_shapes(random);
      Image image;
      image.reshape(kSide, kSide, 3);
      for (int p = 0; p < kSide * kSide; ++p) {
        std::uint8_t* pixel = image.hwc.data() + 3 * p;
        for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(random() % 60);
        for (const Shape2d& shape : shapes) {
          if (inside(shape, p % kSide, p / kSide)) pixel[shape.category] = 220;
        }
      }
      std::string labels;
      for (const Shape2d& s : shapes) {
        const double w = static_cast<double>(s.size) / kSide;
        labels += std::to_string(s.category) + " " + std::to_string((s.x + s.size / 2.0) / kSide) +
                  " " + std::to_string((s.y + s.size / 2.0) / kSide) + " " + std::to_string(w) +
                  " " + std::to_string(w) + "\n";
      }
      const std::string name = part + "/" + std::to_string(i);
      const std::vector<std::uint8_t> png = encode_png(image.view());
      write("data/images/" + name + ".png", std::string(png.begin(), png.end()));
      write("data/labels/" + name + ".txt", labels);
    }
  }

  std::string write(const std::string& name, const std::string& text) const {
    test::write_text(folder_ / name, text);
    return folder_ / name;
  }

  // A solver around a network's layers; `more` holds its schedule.
  std::string solver(const std::string& layers, const std::string& more) const {
    write("net.yaml",
          "name: shapes\n"
          "input: {channels: 3, height: 64, width: 64, mean: [0.2, 0.2, 0.2], std: [0.25, 0.25, "
          "0.25]}\n"
          "defaults: {conv: {norm: batch, act: {leaky: 0.1}}}\n"
          "layers:\n"
          "  - conv: {filters: 16, size: 3, stride: 2}\n"
          "  - conv: {name: c2, filters: 32, size: 3, stride: 2}\n"
          "  - conv: {name: c3, filters: 32, size: 3, stride: 2}\n" +
              layers);
    return write("solver.yaml",
                 "net: net.yaml\nname: shapes\n"
                 "data: {name: shapes, sources: [{yolo: {dir: data}}], workers: 0}\n"
                 "batch: 8\nseed: 1\noptimizer: {adamw: {weight_decay: 0.01}}\n" +
                     more);
  }
  std::string run_dir(const std::string& name) const { return folder_ / name; }

  // Boxes, objectness and classes make up the loss that the network itself computes.
  static void expect_parts(const nlohmann::json& tested) {
    double sum = 0.0;
    for (const char* part : {"box", "objectness", "classes"}) {
      const double value = tested["loss_parts"][part].get<double>();
      EXPECT_GT(value, 0.0) << part;
      sum += value;
    }
    const double loss = tested["loss"].get<double>();
    EXPECT_NEAR(sum, loss, 1e-4 * loss);
  }

  nlohmann::json json_of(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  }

  test::TempFolder folder_;
};

// The fourth convolution sees 31 pixels: the largest shapes whole.
constexpr const char* kYolo =
    "  - conv: {name: c4, filters: 64, size: 3}\n"
    "  - yolo: {anchors: [[14, 14], [22, 22]], conv: 1, box_loss: ciou, iou_normalizer: 2}\n";
constexpr const char* kSchedule =
    "one_cycle: {length: 24e, lr: 0.005, momentum: [0.95, 0.85]}\n"
    "evaluate: {every: 8e}\ncheckpoint: {every: 24e}\n";

TEST_F(DetectionTest, AveragesOfWeightsAreTestedBesideThemAndViewsAreRefused) {
  const std::string file = solver(kYolo, "lr: 0.005\nlength: 2e\nema: {decay: 0.9, every: 2}\n");
  const nlohmann::json summary =
      json_of(daybreak({"train", file, "--run", run_dir("a"), "--json", "-"}));
  ASSERT_TRUE(summary["final"].contains("ema_map50")) << summary;
  const nlohmann::json tested = json_of(daybreak(
      {"test", run_dir("a"), "--weights", run_dir("a") + "/last.safetensors", "--json", "-"}));
  EXPECT_EQ(tested["ema_map50"], summary["final"]["ema_map50"]);
  const CommandResult refused = daybreak({"train", file, "--set", "evaluate.tta=flip"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("error: \"evaluate\": \"tta\" is for classifiers\n"));
}

TEST_F(DetectionTest, AYoloHeadLearnsShapes) {
  const std::string file = solver(kYolo, std::string("augment: [{flip: 0.5}]\n") + kSchedule);
  const CommandResult trained = daybreak({"train", file, "--run", run_dir("a"), "--json", "-"});
  const nlohmann::json summary = json_of(trained);
  EXPECT_EQ(summary["task"], "detection");
  EXPECT_GT(summary["best"]["map50"].get<double>(), 0.9);
  EXPECT_THAT(trained.err, HasSubstr("map50"));
  EXPECT_THAT(trained.err, Not(HasSubstr("acc ")));
  EXPECT_THAT(read_text(run_dir("a") + "/results.csv"), HasSubstr("val/loss,val/map50,val/map,"));
  for (const char* name : {"config.yaml", "results.json", "best.safetensors", "report.html"}) {
    EXPECT_TRUE(fs::exists(run_dir("a") + "/" + name)) << name;
  }

  const CommandResult tested = daybreak({"test", run_dir("a"), "--min-map", "0.9", "--json", "-"});
  const nlohmann::json result = json_of(tested);
  EXPECT_EQ(result["task"], "detection");
  EXPECT_EQ(result["n"], 32);
  EXPECT_NEAR(result["map50"].get<double>(), summary["best"]["map50"].get<double>(), 1e-6);
  EXPECT_EQ(result["classes"][1]["name"], "disc");
  expect_parts(result);
  EXPECT_THAT(trained.err, HasSubstr("  object "));
  EXPECT_THAT(trained.err, HasSubstr("  val object "));
  EXPECT_GT(result["classes"][1]["ap50"].get<double>(), 0.8);
  const CommandResult missed = daybreak({"test", run_dir("a"), "--min-map", "1"});
  EXPECT_EQ(missed.exit_code, result["map50"] == 1.0 ? 0 : 1);
  EXPECT_EQ(daybreak({"test", run_dir("a"), "--min-top1", "0.1"}).exit_code, 2);
}

// What one step of a new network says: loss, box, objectness, classes, in this order.
std::vector<double> first_step(const std::string& run) {
  std::istringstream lines(read_text(run + "/steps.csv"));
  std::string line, cell;
  std::getline(lines, line);
  EXPECT_EQ(line, "step,lr,momentum,train/loss,train/box,train/objectness,train/classes");
  std::getline(lines, line);
  std::istringstream cells(line);
  std::vector<double> numbers;
  while (std::getline(cells, cell, ',')) numbers.push_back(cell.empty() ? NAN : std::stod(cell));
  if (line.ends_with(',')) numbers.push_back(NAN);
  EXPECT_EQ(numbers.size(), 7u) << line;
  numbers.resize(7);
  return {numbers.begin() + 3, numbers.end()};
}

TEST_F(DetectionTest, PartsOfTheLossAreWhatEachAloneWouldBe) {
  const auto parts_of = [&](const std::string& name, const std::string& head) {
    const std::string layers = "  - conv: {name: c4, filters: 64, size: 3}\n" + head;
    const CommandResult result =
        daybreak({"train", solver(layers, "lr: 0.001\nlength: 1s\naccumulate: 2\n"), "--run",
                  run_dir(name)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return first_step(run_dir(name));
  };
  // Anchors that share truths, so that some places are wanted twice.
  const std::string yolo =
      "  - yolo: {anchors: [[14, 14], [20, 20], [22, 22]], conv: 1, box_loss: giou, "
      "iou_thresh: 0.3, ";
  const auto all = parts_of("all", yolo + "iou_normalizer: 2, cls_normalizer: 3}\n");
  const auto box = parts_of("box", yolo +
                                       "iou_normalizer: 2, obj_normalizer: 0, "
                                       "cls_normalizer: 0}\n");
  const auto objects = parts_of("objects", yolo + "iou_normalizer: 0, cls_normalizer: 0}\n");
  const auto taught = parts_of("taught", yolo +
                                             "truth_thresh: 0.5, iou_normalizer: 2, "
                                             "cls_normalizer: 3}\n");
  const auto classes = parts_of("classes", yolo +
                                               "truth_thresh: 0.5, iou_normalizer: 0, "
                                               "obj_normalizer: 0, cls_normalizer: 3}\n");
  EXPECT_GT(all[1], 0.0);
  EXPECT_NEAR(all[1], box[0], 1e-5 * box[0]);
  EXPECT_NEAR(all[2], objects[0], 1e-5 * all[0]);
  EXPECT_NEAR(all[0], all[1] + all[2] + all[3], 1e-9 * all[0]);
  EXPECT_NEAR(taught[3], classes[0], 1e-5 * classes[0]);
  const std::string map = "  - conv: {filters: 14, size: 1, norm: none, act: none}\n";
  const std::string region = map + "  - region: {anchors: [[1.7, 1.7], [2.8, 2.8]], ";
  const auto region_all = parts_of("region", region + "rescore: true}\n");
  const auto region_box = parts_of("region_box", region +
                                                     "rescore: true, object_scale: 0, "
                                                     "noobject_scale: 0, class_scale: 0}\n");
  EXPECT_NEAR(region_all[1], region_box[0], 1e-5 * region_box[0]);
  EXPECT_GT(region_all[3], 0.0);
  const auto ssd = parts_of("ssd", "  - ssd: {from: [c3], sizes: [[0.22, 0.3]], ratios: [1, 2]}\n");
  EXPECT_GT(ssd[1], 0.0);
  EXPECT_TRUE(std::isnan(ssd[2]));
  EXPECT_NEAR(ssd[0], ssd[1] + ssd[3], 1e-9 * ssd[0]);
}

TEST_F(DetectionTest, AnSsdHeadLearnsShapes) {
  const std::string file = solver(
      "  - conv: {name: c4, filters: 64, size: 3, stride: 2}\n"
      "  - ssd: {from: [c3, c4], sizes: [[0.22, 0.3], [0.38, 0.45]], ratios: [1, 2, 0.5]}\n",
      "one_cycle: {length: 30e, lr: 0.005, momentum: [0.95, 0.85]}\nevaluate: {every: 10e}\n");
  const nlohmann::json summary =
      json_of(daybreak({"train", file, "--run", run_dir("s"), "--json", "-"}));
  EXPECT_GT(summary["best"]["map50"].get<double>(), 0.85);
  const nlohmann::json tested = json_of(daybreak({"test", run_dir("s"), "--json", "-"}));
  const nlohmann::json& parts = tested["loss_parts"];
  EXPECT_FALSE(parts.contains("objectness"));
  EXPECT_GT(parts["box"].get<double>(), 0.0);
  EXPECT_GT(parts["classes"].get<double>(), 0.0);
  EXPECT_NEAR(parts["box"].get<double>() + parts["classes"].get<double>(),
              tested["loss"].get<double>(), 1e-4);
}

TEST_F(DetectionTest, ARegionHeadLearnsShapes) {
  const std::string file = solver(
      "  - conv: {name: c4, filters: 64, size: 3}\n"
      "  - conv: {filters: 14, size: 1, norm: none, act: none}\n"
      "  - region: {anchors: [[1.7, 1.7], [2.8, 2.8]], object_scale: 5}\n",
      "one_cycle: {length: 30e, lr: 0.005, momentum: [0.95, 0.85]}\nevaluate: {every: 10e}\n");
  const nlohmann::json summary =
      json_of(daybreak({"train", file, "--run", run_dir("r"), "--json", "-"}));
  EXPECT_GT(summary["best"]["map50"].get<double>(), 0.85);
  expect_parts(json_of(daybreak({"test", run_dir("r"), "--json", "-"})));
}

TEST_F(DetectionTest, ResumesBitForBitWithSeveralSizes) {
  const std::string more =
      "augment: [{zoom: {scale: [0.8, 1.25], shift: 0.1}}, {flip: 0.5}]\n"
      "multi_scale: [48, 64, 80]\nlr: 0.002\nlength: 4e\nmomentum: 0.9\n"
      "checkpoint: {every: 1e, keep: 9}\n";
  const std::string file = solver(kYolo, more);
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("whole")}).exit_code, 0);
  const CommandResult half =
      daybreak({"train", file, "--run", run_dir("half"), "--set", "length=2e"});
  ASSERT_EQ(half.exit_code, 0) << half.err;
  const CommandResult rest =
      daybreak({"train", "--resume", run_dir("half"), "--set", "phases[0].until=4e"});
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_EQ(daybreak({"export", "digest", run_dir("whole")}).out,
            daybreak({"export", "digest", run_dir("half")}).out);
}

TEST_F(DetectionTest, AHeadOfAnotherClassCountStartsAnewWithSmallerRateBefore) {
  ASSERT_EQ(daybreak({"train", solver(kYolo, "lr: 0.002\nlength: 1e\n"), "--run", run_dir("a")})
                .exit_code,
            0);
  write("data/data.yaml", "train: images/train\nval: images/val\nnames: [square, disc, star]\n");
  const std::string weights = run_dir("a") + "/best.safetensors";
  const std::string file = solver(kYolo, "phases: [{until: 1e, lr: 0.001, freeze: [c2]}]\n");
  const CommandResult tuned =
      daybreak({"train", file, "--run", run_dir("b"), "--init", weights, "--set",
                "optimizer={adamw: {groups: [{match: conv1, lr_scale: 0.1}]}}"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.err, HasSubstr("has no fitting \"yolo1.conv.weight\"; it starts anew"));
  EXPECT_THAT(tuned.err, Not(HasSubstr("no fitting \"c2")));
  const CommandResult wrong =
      daybreak({"train", folder_ / "solver.yaml", "--run", run_dir("c"), "--set",
                "optimizer={adamw: {groups: [{match: nothing, lr_scale: 0.1}]}}"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("\"groups\": \"nothing\" matches no layer"));
}

TEST_F(DetectionTest, SaysWhatDoesNotFitTogether) {
  const std::string classifier = solver(
      "  - global_avgpool\n  - linear: {outputs: 2}\n  - softmax_loss\n", "lr: 0.1\nlength: 1e\n");
  const CommandResult no_head = daybreak({"train", classifier, "--run", run_dir("x")});
  EXPECT_EQ(no_head.exit_code, 2);
  EXPECT_THAT(no_head.err, HasSubstr("has boxes, but network \"shapes\" has no head"));

  const std::string wide = solver(
      "  - conv: {filters: 13, size: 1, norm: none, act: none}\n"
      "  - yolo: {anchors: [[14, 14], [22, 22]], classes: 2}\n",
      "lr: 0.1\nlength: 1e\n");
  const CommandResult channels = daybreak({"train", wide, "--run", run_dir("x")});
  EXPECT_EQ(channels.exit_code, 2);
  EXPECT_THAT(channels.err, HasSubstr("needs 14 channels, 2 anchors x (5 + 2 classes)"));

  const CommandResult odd_size =
      daybreak({"train", solver(kYolo, "multi_scale: [64, 52]\nlr: 0.1\nlength: 1e\n"), "--run",
                run_dir("x")});
  EXPECT_EQ(odd_size.exit_code, 2);
  EXPECT_THAT(odd_size.err, HasSubstr("pictures of 52 x 52 pixels cannot have its cells of 8 x 8"));

  const std::string pictures = solver(kYolo, "lr: 0.1\nlength: 1e\n");
  const CommandResult no_boxes =
      daybreak({"train", pictures, "--run", run_dir("x"), "--set",
                "data={name: drawn, sources: [synthetic], classes: [square, disc]}"});
  EXPECT_EQ(no_boxes.exit_code, 2) << no_boxes.err;
  EXPECT_THAT(no_boxes.err, HasSubstr("finds boxes, but the pictures of data set \"drawn\""));
}

}  // namespace
}  // namespace daybreak
