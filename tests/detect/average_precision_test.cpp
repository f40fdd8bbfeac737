#include "detect/average_precision.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/temp_folder.h"

namespace daybreak {
namespace {

using nlohmann::json;

/// A class of `truths` boxes that do not touch, and detections by score that are right (on the next
/// truth) or wrong.
AveragePrecision ranked(int truths, const std::string& verdicts) {
  AveragePrecision result(1);
  std::vector<TruthBox> boxes;
  for (int i = 0; i < truths; ++i) boxes.push_back({{20.0 * i, 0, 10, 10}});
  std::vector<FoundBox> found;
  int next = 0;
  double score = 1.0;
  for (const char verdict : verdicts) {
    const PixelBox box = verdict == 'T' ? boxes[static_cast<std::size_t>(next++)].box
                                        : PixelBox{0, 500 + 20.0 * score, 10, 10};
    found.push_back({box, 0, score -= 0.01});
  }
  result.add(boxes, found);
  return result;
}

// semantics.md 6.5.
TEST(AveragePrecision, VectorsOfTheSemantics) {
  const AveragePrecision seven = ranked(7, "TFTTFT");
  EXPECT_NEAR(seven.voc(VocCurve::all_points)[0], 0.452381, 1e-6);
  EXPECT_NEAR(seven.voc(VocCurve::eleven_points)[0], 0.44697, 1e-5);
  EXPECT_NEAR(seven.coco().map50, 0.455446, 1e-6);
  EXPECT_NEAR(seven.coco().map, 0.455446, 1e-6);  // overlaps are perfect
  EXPECT_NEAR(ranked(5, "TFTTFT").voc(VocCurve::eleven_points)[0], 2.0 / 3, 1e-12);
}

TEST(AveragePrecision, Extremes) {
  EXPECT_EQ(ranked(3, "").coco().map50, 0.0);
  EXPECT_EQ(ranked(3, "").voc(VocCurve::all_points)[0], 0.0);
  EXPECT_NEAR(ranked(3, "TTT").coco().map, 1.0, 1e-12);
  EXPECT_NEAR(ranked(3, "TTT").voc(VocCurve::eleven_points)[0], 1.0, 1e-12);
  EXPECT_EQ(ranked(0, "FF").coco().map, -1.0);
  EXPECT_EQ(ranked(0, "FF").voc(VocCurve::all_points)[0], -1.0);
  EXPECT_EQ(AveragePrecision(0).coco().map, -1.0);
}

TEST(AveragePrecision, ClassesWithoutTruthsAreLeftOutOfMeans) {
  AveragePrecision all(3);
  all.add({{{0, 0, 10, 10}, 0}, {{50, 0, 10, 10}, 2}},
          {{{0, 0, 10, 10}, 0, 0.9}, {{0, 0, 10, 10}, 1, 0.9}});
  const DetectionMetrics metrics = all.coco();
  EXPECT_NEAR(metrics.map50, 0.5, 1e-12);
  EXPECT_EQ(metrics.classes[1].ap, -1.0);
  EXPECT_EQ(metrics.classes[1].detections, 1);
  EXPECT_EQ(metrics.classes[2].truths, 1);
  EXPECT_NEAR(mean_of_known(all.voc(VocCurve::all_points)), 0.5, 1e-12);
}

TEST(AveragePrecision, VocTakesTheBestTruthOnlyAndCocoTheNextOne) {
  // Both detections are nearest to the first truth; the second overlaps the other one by 0.6.
  const std::vector<TruthBox> truths = {{{0, 0, 100, 100}}, {{0, 25, 100, 100}}};
  const std::vector<FoundBox> found = {{{0, 0, 100, 100}, 0, 0.9}, {{0, 5, 100, 100}, 0, 0.8}};
  AveragePrecision both(1);
  both.add(truths, found);
  EXPECT_NEAR(both.voc(VocCurve::all_points)[0], 0.5, 1e-12);
  EXPECT_NEAR(both.coco().map50, 1.0, 1e-12);
}

TEST(AveragePrecision, OverlapAtTheThreshold) {
  AveragePrecision half(1);  // IoU is exactly 1/2
  half.add({{{0, 0, 10, 10}}}, {{{0, 0, 10, 5}, 0, 0.9}});
  EXPECT_EQ(half.voc(VocCurve::all_points)[0], 0.0);
  EXPECT_NEAR(half.coco().map50, 1.0, 1e-12);
  EXPECT_NEAR(half.coco().map, 0.1, 1e-12);
}

TEST(AveragePrecision, DifficultAndCrowd) {
  TruthBox difficult{{0, 0, 10, 10}};
  difficult.difficult = true;
  AveragePrecision voc(1);
  voc.add({difficult, {{50, 0, 10, 10}}},
          {{{0, 0, 10, 10}, 0, 0.9}, {{0, 0, 10, 10}, 0, 0.8}, {{50, 0, 10, 10}, 0, 0.7}});
  EXPECT_NEAR(voc.voc(VocCurve::all_points)[0], 1.0, 1e-12);
  EXPECT_NEAR(voc.coco().map50, (51 + 50 * 2.0 / 3) / 101,
              1e-9);  // COCO knows no difficult objects
  TruthBox crowd{{0, 0, 100, 100}};
  crowd.crowd = true;
  AveragePrecision coco(1);
  coco.add({crowd, {{500, 0, 10, 10}}},
           {{{0, 0, 10, 10}, 0, 0.9}, {{20, 20, 10, 10}, 0, 0.8}, {{500, 0, 10, 10}, 0, 0.7}});
  EXPECT_NEAR(coco.coco().map50, 1.0, 1e-12);
  EXPECT_EQ(coco.coco().classes[0].truths, 1);
}

// ---- pycocotools --------------------------------------------------------------------------------

struct CasePicture {
  std::vector<TruthBox> truths;
  std::vector<FoundBox> found;
};

DetectionMetrics evaluate(const json& one) {
  std::vector<CasePicture> pictures(one["images"].get<std::size_t>());
  const auto box = [](const json& row) {
    return PixelBox{row[2].get<double>(), row[3].get<double>(), row[4].get<double>(),
                    row[5].get<double>()};
  };
  for (const json& row : one["truths"]) {
    TruthBox truth{box(row), row[1].get<int>()};
    truth.area = row[6].get<double>();
    truth.crowd = row[7].get<int>() != 0;
    pictures[row[0].get<std::size_t>()].truths.push_back(truth);
  }
  for (const json& row : one["found"]) {
    pictures[row[0].get<std::size_t>()].found.push_back(
        {box(row), row[1].get<int>(), row[6].get<double>()});
  }
  AveragePrecision precision(static_cast<int>(one["classes"].size()));
  for (const CasePicture& picture : pictures) precision.add(picture.truths, picture.found);
  return precision.coco();
}

void compare(const json& cases) {
  ASSERT_FALSE(cases.empty());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(fmt::format("case {}", i));
    const DetectionMetrics m = evaluate(cases[i]);
    const json& stats = cases[i]["stats"];
    const double values[] = {m.map,       m.map50, m.map75, m.map_small, m.map_medium,
                             m.map_large, m.ar1,   m.ar10,  m.ar100};
    for (std::size_t k = 0; k < std::size(values); ++k) {
      EXPECT_NEAR(values[k], stats[k].get<double>(), 1e-9) << k;
    }
    for (std::size_t c = 0; c < m.classes.size(); ++c) {
      const json& expected = cases[i]["classes"][c];
      EXPECT_NEAR(m.classes[c].ap, expected["ap"].get<double>(), 1e-9);
      EXPECT_NEAR(m.classes[c].ap50, expected["ap50"].get<double>(), 1e-9);
      const json& curve = expected["curve"];
      for (std::size_t k = 0; k < curve.size(); ++k) {
        EXPECT_NEAR(m.classes[c].curve[k], curve[k].get<double>(), 1e-9);
      }
    }
  }
}

// Written by coco_referee.py 1 6.
TEST(AveragePrecision, PycocotoolsGoldens) {
  std::ifstream file(DAYBREAK_SOURCE_DIR "/tests/golden/coco_map.json");
  ASSERT_TRUE(file.good());
  compare(json::parse(file));
}

// Fresh cases where pycocotools is at hand: DAYBREAK_PYTHON names a python that has it.
TEST(AveragePrecision, PycocotoolsOnFreshCases) {
  const test::TempFolder dir;
  const char* python = std::getenv("DAYBREAK_PYTHON");
  const char* seed = std::getenv("DAYBREAK_REFEREE_SEED");
  const std::string command =
      fmt::format("{} '{}/tests/detect/coco_referee.py' {} 40 > '{}/cases.json' 2> /dev/null",
                  python ? python : "python3", DAYBREAK_SOURCE_DIR, seed ? seed : "7", dir.path());
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "python3 has no pycocotools";
  std::ifstream file(dir / "cases.json");
  compare(json::parse(file));
}

}  // namespace
}  // namespace daybreak
