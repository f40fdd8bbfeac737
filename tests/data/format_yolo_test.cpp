#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "data/detection_support.h"
#include "data/limits.h"

namespace daybreak {
namespace {

using test::data_error;
using test::expect_box;
using test::input_of;
using test::kClasses;
using test::put_text;
using test::spec_for;
using test::TempFolder;
using test::write_picture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<LabelBox> yolo(const std::string& text, LabelPolicy& policy, bool polygons = false) {
  return read_yolo_labels(text, "a.txt", kClasses, polygons, policy);
}
std::vector<LabelBox> yolo(const std::string& text) {
  LabelPolicy policy(OnError::error);
  return yolo(text, policy);
}

TEST(YoloLabels, Lines) {
  LabelPolicy policy(OnError::error);
  const auto boxes = yolo(
      "\xef\xbb\xbf"
      "0 0.5 0.25 0.2 0.1\r\n\n2\t0.1  1e-1 0.2 0.2\n0 0.5 0.25 0.2 0.1\n"
      "1 0.5 0.5 0 0.5\n1 0.95 0.5 0.1005 0.5",
      policy);
  ASSERT_EQ(boxes.size(), 3u);
  expect_box(boxes[0], 0, 0.5f, 0.25f, 0.2f, 0.1f);
  expect_box(boxes[1], 2, 0.1f, 0.1f, 0.2f, 0.2f);
  expect_box(boxes[2], 1, 0.949875f, 0.5f, 0.10025f, 0.5f);
  EXPECT_EQ(policy.duplicates, 1);
  EXPECT_EQ(policy.empty, 1);
  EXPECT_EQ(policy.clipped, 1);
}

TEST(YoloLabels, WhatIsWrongHasItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0 0.5 0.5 0.2", "a.txt:1: error: 4 fields, expected 5"},
      {"0 .5 .5 .2 .2 .9", "a.txt:1: error: 6 fields, expected 5"},
      {"0 .5 .5 .2 .2 .9 .8", "\"polygons: box\""},
      {"3 0.5 0.5 0.2 0.2", "a.txt:1: error: unknown class \"3\"; there are 0 cat, 1 dog, 2 bird"},
      {"-1 0.5 0.5 0.2 0.2", "unknown class \"-1\""},
      {"1.0 0.5 0.5 0.2 0.2", "unknown class \"1.0\""},
      {"cat 0.5 0.5 0.2 0.2", "unknown class \"cat\""},
      {"0 0.5 0.5 0.2 0.2\n\n0 nan 0.5 0.2 0.2", "a.txt:3: error: field 2 is \"nan\""},
      {"0 0.5 0.5 0.2x 0.2", "field 4 is \"0.2x\", expected a number"},
      {"0 0.5 0.5 -0.2 0.2", "has a negative size"},
      {"0 1.5 0.5 0.2 0.2", "is outside the picture"},
      {"0 0.95 0.5 0.2 0.2", "is outside the picture"},
      {"0 320 240 100 100", "is outside the picture"},
      {"0 1e308 0.5 1e308 0.2", "a.txt:1: error: "}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(data_error([&] { yolo(text); }), HasSubstr(message)) << text;
    LabelPolicy skip(OnError::skip);
    EXPECT_THAT(yolo(text + "\n1 0.5 0.5 0.1 0.1\n", skip), testing::SizeIs(testing::Ge(1u)));
    DataParts parts;
    skip.move_to(parts);
    EXPECT_EQ(parts.bad_label_count, 1) << text;
    ASSERT_EQ(parts.bad_labels.size(), 1u);
    EXPECT_THAT(parts.bad_labels[0].path, StartsWith("a.txt:"));
  }
}

TEST(YoloLabels, PolygonsBecomeBoxesWhenAsked) {
  LabelPolicy policy(OnError::error);
  const auto boxes = yolo("1 0.1 0.2 0.5 0.2 0.3 0.8", policy, true);
  ASSERT_EQ(boxes.size(), 1u);
  expect_box(boxes[0], 1, 0.3f, 0.5f, 0.4f, 0.6f);
}

TEST(YoloLabels, TooManyBoxesAreRefused) {
  std::string text;
  for (std::size_t i = 0; i <= limits::kMaxBoxes; ++i) {
    text += fmt::format("0 0.5 0.5 {} 0.1\n", 0.1 + static_cast<double>(i) * 1e-4);
  }
  EXPECT_THAT(data_error([&] { yolo(text); }), HasSubstr("boxes in one picture"));
}

TEST(YoloLabels, PathOfALabel) {
  EXPECT_EQ(yolo_label_path("/d/images/images/a.b.jpg"), "/d/images/labels/a.b.txt");
  EXPECT_EQ(yolo_label_path("/d/images.v2/a.jpg"), "/d/images.v2/a.txt");
}

class YoloSet : public ::testing::Test {
 protected:
  YoloSet() {
    put_text(dir / "data.yaml",
             "path: /nowhere/that/exists\ntrain: images/train\nval: val.txt\n"
             "nc: 3\nnames: {0: cat, 1: dog, 2: bird}\ndownload: none\n");
    write_picture(dir / "images/train/b.png", 40, 20);
    write_picture(dir / "images/train/a.png", 20, 20);
    write_picture(dir / "images/train/deep/c.png", 20, 30);
    put_text(dir / "labels/train/b.txt", "2 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.1\n");
    put_text(dir / "labels/train/deep/c.txt", "1 0.5 0.5 1 1\n");
    put_text(dir / "labels/train/classes.txt", "cat\ndog\nbird\n");
    write_picture(dir / "images/val/v.png", 30, 30);
    put_text(dir / "labels/val/v.txt", "1 0.5 0.5 0.5 0.5\n");
    put_text(dir / "val.txt", "./images/val/v.png\r\n\n");
    spec = spec_for(DataFormat::yolo, dir.path());
  }
  DataParts open() { return open_data(spec, input_of(16, 16, 3)); }

  TempFolder dir;
  DataSpec spec;
};

TEST_F(YoloSet, FoldersAndLists) {
  const DataParts parts = open();
  ASSERT_EQ(parts.train.size(), 3);
  EXPECT_TRUE(parts.train.has_boxes());
  EXPECT_EQ(parts.train.classes(), kClasses);
  EXPECT_THAT(parts.train.name(0), testing::EndsWith("/images/train/a.png"));
  EXPECT_THAT(parts.train.boxes(0), IsEmpty());
  ASSERT_EQ(parts.train.boxes(1).size(), 2u);
  expect_box(parts.train.boxes(1)[0], 2, 0.5f, 0.5f, 0.5f, 0.5f);
  EXPECT_EQ(parts.train.picture_size(1)[0], 40);
  EXPECT_EQ(parts.train.most_boxes(), 2);
  EXPECT_THAT(parts.train.class_sizes(), ElementsAre(1, 1, 1));
  EXPECT_EQ(parts.val.size(), 1);
  EXPECT_EQ(parts.test.size(), 1);  // the validation part stands in
}

TEST_F(YoloSet, PicturesNeedNotBeInMemory) {
  spec.cache = CacheMode::none;
  const DataParts parts = open();
  EXPECT_FALSE(parts.train.in_memory());
  EXPECT_EQ(parts.train.load(2).h, 30);
  EXPECT_EQ(parts.train.picture_size(2)[1], 30);
}

TEST_F(YoloSet, ASplitTakesBoxesAlong) {
  put_text(dir / "data.yaml", "train: images/train\nnames: [cat, dog, bird]\n");
  spec.split.fraction = 0.34;
  const DataParts parts = open();
  EXPECT_EQ(parts.train.size(), 2);
  EXPECT_EQ(parts.val.size(), 1);
  EXPECT_TRUE(parts.val.has_boxes());
}

TEST_F(YoloSet, ALabelWithoutAPicture) {
  put_text(dir / "labels/train/gone.txt", "0 0.5 0.5 0.1 0.1\n");
  EXPECT_THAT(data_error([&] { open(); }),
              HasSubstr("gone.txt: error: is a label without a picture"));
  spec.on_bad_label = OnError::skip;
  EXPECT_EQ(open().bad_label_count, 1);
}

TEST_F(YoloSet, TwoPicturesOfOneLabel) {
  write_picture(dir / "images/train/b.jpeg", 20, 30);
  const std::string error = data_error([&] { open(); });
  EXPECT_THAT(error, HasSubstr("labels/train/b.txt: error: would be the label of both "));
  EXPECT_THAT(error, HasSubstr("b.jpeg and "));
  EXPECT_THAT(error, HasSubstr("b.png; rename one of them"));
}

TEST_F(YoloSet, APictureMayBeListedTwice) {
  put_text(dir / "val.txt", "images/val/v.png\nimages/val/v.png\n");
  EXPECT_EQ(open().val.size(), 2);
}

TEST_F(YoloSet, AListThatIsNoText) {
  put_text(dir / "val.txt", std::string("images/val/v.png\n\0", 18));
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("val.txt: error: holds binary data"));
}

TEST_F(YoloSet, AListedPictureThatIsMissing) {
  put_text(dir / "val.txt", "./images/val/v.png\nimages/val/none.png\n");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("none.png"));
}

TEST_F(YoloSet, NoLabelAtAll) {
  std::filesystem::remove_all(dir / "labels/val");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("labels/val/v.txt: error: is not there"));
}

TEST_F(YoloSet, BadBoxesAreSkippedWhenAsked) {
  put_text(dir / "labels/train/b.txt", "2 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.1\n");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("labels/train/b.txt:1: error: 4 fields"));
  spec.on_bad_label = OnError::skip;
  const DataParts parts = open();
  EXPECT_EQ(parts.bad_label_count, 1);
  EXPECT_EQ(parts.train.boxes(1).size(), 1u);
}

TEST_F(YoloSet, DescriptionsThatAreWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"train: images/train\n", "has no \"names\""},
      {"train: images/train\nnames: [cat, dog, bird]\nnc: 4\n",
       "data.yaml:3:5: error: nc is \"4\""},
      {"train: images/train\nnames: {0: cat, 2: dog}\n", "key \"2\" must be a number in 0..1"},
      {"train: images/train\nnames: cat\n", "names: expected a list"},
      {"train: images/nothing\nnames: [cat]\n", "no such folder or list"},
      {"train: labels/train\nnames: [cat]\n", "no *.jpg, *.jpeg or *.png"},
      {"names: [cat]\n", "has no \"train\""},
      {"names: [cat\n", "data.yaml:"}};
  for (const auto& [text, message] : cases) {
    put_text(dir / "data.yaml", text);
    EXPECT_THAT(data_error([&] { open(); }), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace daybreak
