#include <gmock/gmock.h>

#include "data/detection_support.h"

namespace daybreak {
namespace {

using test::coco_text;
using test::data_error;
using test::expect_box;
using test::input_of;
using test::put_text;
using test::spec_for;
using test::TempFolder;
using test::write_picture;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CocoFile coco(const std::string& text) {
  LabelPolicy policy(OnError::error);
  return read_coco(text, "a.json", policy);
}

TEST(CocoFile, Boxes) {
  const CocoFile file = coco(coco_text(
      R"({"segmentation": [[1, 2, 3.5, 4]], "area": 33.5, "iscrowd": 0, "image_id": 900,
          "bbox": [10, 5.0, 20, 10], "category_id": 18, "id": 1},
         {"segmentation": {"counts": [1, 2], "size": [20, 40]}, "iscrowd": 1, "image_id": 900,
          "bbox": [0, 0, 40, 20], "category_id": 3, "id": 2, "area": 800},
         {"image_id": 7, "bbox": [0, 0, 0, 10], "category_id": 3, "id": 3})"));
  ASSERT_EQ(file.categories.size(), 2u);
  EXPECT_EQ(file.categories[0].name, "cat");  // by id
  ASSERT_EQ(file.images.size(), 2u);
  ASSERT_EQ(file.images[0].boxes.size(), 2u);
  expect_box(file.images[0].boxes[0], 1, 0.5f, 0.5f, 0.5f, 0.5f);
  EXPECT_EQ(file.images[0].boxes[0].area, 33.5f);
  EXPECT_FALSE(file.images[0].boxes[0].crowd);
  EXPECT_TRUE(file.images[0].boxes[1].crowd);
  EXPECT_EQ(file.images[0].boxes[1].category, 0);
  EXPECT_THAT(file.images[1].boxes, IsEmpty());  // an empty box
}

TEST(CocoFile, WhatIsWrongHasItsPlace) {
  const auto annotation = [](const std::string& fields) {
    return coco_text("\n{\"id\": 1, " + fields + "}");
  };
  const std::string good = R"("image_id": 7, "category_id": 3)";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {annotation(good + R"(, "bbox": [1, 2, 3])"), "a.json:6:"},
      {annotation(good + R"(, "bbox": [1, 2, 3, 4, 5])"), "bbox has 5 numbers, expected 4"},
      {annotation(good + R"(, "bbox": [1, 2, "3", 4])"), "bbox has text, expected numbers"},
      {annotation(good + R"(, "bbox": 7)"), "found a number, expected a list of four numbers"},
      {annotation(good + R"(, "bbox": [NaN, 2, 3, 4])"), "a.json:6:"},
      {annotation(good + R"(, "bbox": [1, 2, -3, 4])"), "a.json:6:1: error: box"},
      {annotation(good + R"(, "bbox": [15, 2, 30, 4])"), "is outside the picture of 20 x 20"},
      {annotation(good + R"(, "bbox": [1e308, 2, 1e308, 4])"), "is not finite"},
      {annotation(good), "a.json:6:1: error: has no \"bbox\""},
      {annotation(R"("image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4])"),
       "annotation 1 is for the picture 8, which is not there"},
      {annotation(R"("image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4])"),
       "unknown class 4 of annotation 1"},
      {annotation(R"("image_id": 7.5, "category_id": 4, "bbox": [1, 2, 3, 4])"),
       "expected a whole number"},
      {annotation(R"("image_id": 99999999999999999999, "category_id": 4, "bbox": [1, 2, 3, 4])"),
       "expected a whole number"},
      {annotation(R"("id": 2, "category_id": 4)"), "the same key stands twice"},
      {coco_text(R"({"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]},
                    {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]})"),
       "two annotations have the id 1"},
      {coco_text("", R"({"id": 1, "file_name": "a", "width": 0, "height": 4})"),
       "width 0 is outside 1..65535"},
      {coco_text("", R"({"id": 1, "file_name": "a", "height": 4})"), "has no \"width\""},
      {coco_text("", R"({"id": 1, "file_name": "a", "width": 4, "height": 4},
                        {"id": 1, "file_name": "b", "width": 4, "height": 4})"),
       "two images have the id 1"},
      {coco_text("", ""), "0 pictures and 2 categories"},
      {coco_text("").substr(0, 90), "a.json:2:"},
      {"", "not valid JSON"},
      {"[]", "a.json:1:"},
      {"[[[[", "a.json:1:"},
      {std::string(100'000, '['), "a.json:1:"},
      {"{\"x\":" + std::string(100'000, '['), "more than 64 levels"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(data_error([&] { coco(text); }), HasSubstr(message)) << text.substr(0, 200);
  }
}

TEST(CocoFile, SkipLeavesBadBoxesOut) {
  LabelPolicy policy(OnError::skip);
  const CocoFile file =
      read_coco(coco_text(R"({"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]},
                   {"id": 2, "image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]},
                   {"id": 3, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]},
                   {"id": 4, "image_id": 7, "category_id": 3, "bbox": [1, 2, -3, 4]})"),
                "a.json", policy);
  EXPECT_EQ(file.images[1].boxes.size(), 1u);
  DataParts parts;
  policy.move_to(parts);
  EXPECT_EQ(parts.bad_label_count, 3);
}

TEST(CocoSet, PartsAndIds) {
  const TempFolder dir;
  const std::string one = R"({"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]})";
  for (const char* name : {"train2017", "val2017"}) {
    write_picture(dir / (std::string(name) + "/a.png"), 40, 20);
    write_picture(dir / (std::string(name) + "/b.png"), 20, 20);
    put_text(dir / (std::string("annotations/instances_") + name + ".json"), coco_text(one));
  }
  DataSpec spec = spec_for(DataFormat::coco, dir.path());
  SourceSpec& source = spec.sources[0];
  source.train = "annotations/instances_train2017.json";
  source.val = "annotations/instances_val2017.json";
  const DataParts parts = open_data(spec, input_of(16, 16, 3));
  EXPECT_EQ(parts.train.size(), 2);
  EXPECT_EQ(parts.val.picture_id(0), 900);
  EXPECT_EQ(parts.val.picture_id(1), 7);
  EXPECT_EQ(parts.val.boxes(1).size(), 1u);
  write_picture(dir / "val2017/b.png", 20, 21);
  EXPECT_THAT(data_error([&] { open_data(spec, input_of(16, 16, 3)); }),
              HasSubstr("is 20 x 21 pixels, its label says 20 x 20"));
}

}  // namespace
}  // namespace daybreak
