#include <gtest/gtest.h>

#include "data/detection_support.h"

namespace daybreak {
namespace {

using test::coco_text;
using test::voc_box;
using test::voc_object;
using test::voc_text;

// Cut and changed files end in a message or in boxes, never in a crash.
TEST(DetectionFormats, DamagedFiles) {
  const std::string json = coco_text(
      R"({"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0})");
  const std::string xml = voc_text(voc_object("dog", voc_box("1", "1", "20", "10")));
  const std::string txt = "0 0.5 0.5 0.25 0.25\n1 0.25 0.5 0.125 0.25\n";
  Draws draws(5, Purpose::synthetic, 0, 0);
  const auto damage = [&](std::string text) {
    if (draws.below(2) == 0) text.resize(draws.below(static_cast<std::uint32_t>(text.size())));
    for (std::uint32_t i = draws.below(4); i > 0 && !text.empty(); --i) {
      text[draws.below(static_cast<std::uint32_t>(text.size()))] =
          static_cast<char>(draws.below(256));
    }
    return text;
  };
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    LabelPolicy policy(round % 2 == 0 ? OnError::error : OnError::skip);
    try {
      switch (round % 3) {
        case 0:
          read_coco(damage(json), "a", policy);
          break;
        case 1:
          read_voc(damage(xml), "a", policy);
          break;
        default:
          read_yolo_labels(damage(txt), "a", test::kClasses, true, policy);
      }
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace daybreak
