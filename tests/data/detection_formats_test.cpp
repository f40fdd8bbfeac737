#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "data/bytes.h"
#include "data/data_support.h"
#include "data/dataset.h"
#include "data/formats.h"
#include "data/limits.h"
#include "support/shared_data.h"

namespace daybreak {
namespace {

using test::Bytes;
using test::data_error;
using test::input_of;
using test::noise_image;
using test::spec_for;
using test::TempFolder;
using test::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::vector<std::string> kClasses = {"cat", "dog", "bird"};

void write_text(const std::string& path, const std::string& text) {
  write_file(path, Bytes(text.begin(), text.end()));
}
void write_picture(const std::string& path, int w, int h) {
  write_file(path, encode_png(noise_image(w, h, 3, 1).view()));
}
void expect_box(const LabelBox& label, int category, float cx, float cy, float w, float h) {
  EXPECT_EQ(label.category, category);
  EXPECT_NEAR(label.box.cx, cx, 1e-6);
  EXPECT_NEAR(label.box.cy, cy, 1e-6);
  EXPECT_NEAR(label.box.w, w, 1e-6);
  EXPECT_NEAR(label.box.h, h, 1e-6);
}

// ---- YOLO ---------------------------------------------------------------------------------------

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
    write_text(dir / "data.yaml",
               "path: /nowhere/that/exists\ntrain: images/train\nval: val.txt\n"
               "nc: 3\nnames: {0: cat, 1: dog, 2: bird}\ndownload: none\n");
    write_picture(dir / "images/train/b.png", 40, 20);
    write_picture(dir / "images/train/a.png", 20, 20);
    write_picture(dir / "images/train/deep/c.png", 20, 30);
    write_text(dir / "labels/train/b.txt", "2 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.1\n");
    write_text(dir / "labels/train/deep/c.txt", "1 0.5 0.5 1 1\n");
    write_text(dir / "labels/train/classes.txt", "cat\ndog\nbird\n");
    write_picture(dir / "images/val/v.png", 30, 30);
    write_text(dir / "labels/val/v.txt", "1 0.5 0.5 0.5 0.5\n");
    write_text(dir / "val.txt", "./images/val/v.png\r\n\n");
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
  write_text(dir / "data.yaml", "train: images/train\nnames: [cat, dog, bird]\n");
  spec.split.fraction = 0.34;
  const DataParts parts = open();
  EXPECT_EQ(parts.train.size(), 2);
  EXPECT_EQ(parts.val.size(), 1);
  EXPECT_TRUE(parts.val.has_boxes());
}

TEST_F(YoloSet, ALabelWithoutAPicture) {
  write_text(dir / "labels/train/gone.txt", "0 0.5 0.5 0.1 0.1\n");
  EXPECT_THAT(data_error([&] { open(); }),
              HasSubstr("gone.txt: error: is a label without a picture"));
  spec.on_bad_label = OnError::skip;
  EXPECT_EQ(open().bad_label_count, 1);
}

TEST_F(YoloSet, AListedPictureThatIsMissing) {
  write_text(dir / "val.txt", "./images/val/v.png\nimages/val/none.png\n");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("none.png"));
}

TEST_F(YoloSet, NoLabelAtAll) {
  std::filesystem::remove_all(dir / "labels/val");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("labels/val/v.txt: error: is not there"));
}

TEST_F(YoloSet, BadBoxesAreSkippedWhenAsked) {
  write_text(dir / "labels/train/b.txt", "2 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.1\n");
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
    write_text(dir / "data.yaml", text);
    EXPECT_THAT(data_error([&] { open(); }), HasSubstr(message)) << text;
  }
}

// ---- VOC ----------------------------------------------------------------------------------------

std::string voc_object(const std::string& name, const std::string& box,
                       const std::string& more = "") {
  return "  <object>\n    <name>" + name + "</name>\n    " + more + "\n    <bndbox>" + box +
         "</bndbox>\n  </object>\n";
}
std::string voc_box(const std::string& x0, const std::string& y0, const std::string& x1,
                    const std::string& y1) {
  return fmt::format("<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>", x0, y0, x1,
                     y1);
}
std::string voc_text(const std::string& objects, int w = 40, int h = 20) {
  return fmt::format(
      "<annotation>\n  <size><width>{}</width><height>{}</height></size>\n{}</annotation>\n", w, h,
      objects);
}
VocFile voc(const std::string& text) {
  LabelPolicy policy(OnError::error);
  return read_voc(text, "a.xml", policy);
}

TEST(VocFile, CornersArePixelsFromOne) {
  const VocFile file =
      voc(voc_text(voc_object("dog", voc_box("1", "1", "40", "20"), "<difficult>1</difficult>") +
                   voc_object("cat", voc_box("5", "6.5", "5", "7"),
                              "<part><name>head</name><bndbox>" + voc_box("1", "1", "2", "2") +
                                  "</bndbox></part>")));
  EXPECT_EQ(file.width, 40);
  ASSERT_EQ(file.objects.size(), 2u);
  EXPECT_EQ(file.objects[0].name, "dog");
  EXPECT_TRUE(file.objects[0].difficult);
  EXPECT_EQ(file.objects[0].corners.x0, 0.0);
  EXPECT_EQ(file.objects[0].corners.x1, 40.0);
  EXPECT_EQ(file.objects[1].corners.x0, 4.0);  // one pixel wide
  EXPECT_EQ(file.objects[1].corners.y0, 5.5);
  EXPECT_EQ(file.objects[1].line, 8);
}

TEST(VocFile, WhatIsWrongHasItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {voc_text(voc_object("dog", voc_box("9", "1", "3", "4"))),
       "a.xml:6: error: box [9, 1, 3, 4] (xmin, ymin, xmax, ymax) has a negative size"},
      {voc_text(voc_object("dog", voc_box("nan", "1", "3", "4"))), "<xmin> is \"nan\""},
      {voc_text(voc_object("dog", voc_box("1", "", "3", "4"))), "<ymin> is \"\""},
      {voc_text(voc_object("dog", "<xmin>1</xmin>")), "<ymin> is \"\", expected a number"},
      {voc_text(voc_object("", voc_box("1", "1", "3", "4"))), "<object> without <name>"},
      {voc_text("<object><name>dog</name></object>"), "a.xml:3: error: <object> without <bndbox>"},
      {voc_text(voc_object("dog", voc_box("1", "1", "3", "4"), "<difficult>yes</difficult>")),
       "<difficult> is \"yes\""},
      {voc_text("").substr(0, 60), "not well-formed XML"},
      {"", "not well-formed XML"},
      {"<html></html>", "has no <annotation>"},
      {"<!DOCTYPE x [<!ENTITY a \"b\">]><annotation/>", "a.xml:1: error: a DOCTYPE"},
      {"<annotation><size><width>-5</width><height>2</height></size></annotation>",
       "<width> of the picture is \"-5\""},
      {"<annotation><size><width>99999999999999999999</width></size></annotation>",
       "<width> of the picture is"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(data_error([&] { voc(text); }), HasSubstr(message)) << text;
  }
}

class VocSet : public ::testing::Test {
 protected:
  VocSet() {
    write_text(dir / "ImageSets/Main/train.txt", "a\nb\n");
    write_text(dir / "ImageSets/Main/test.txt", "c\n");
    for (const char* name : {"a", "b", "c"}) {
      write_picture(dir / (std::string("JPEGImages/") + name + ".png"), 40, 20);
    }
    write_text(dir / "Annotations/a.xml",
               voc_text(voc_object("dog", voc_box("1", "1", "20", "10")) +
                        voc_object("cat", voc_box("0", "5", "40", "21"))));
    write_text(dir / "Annotations/c.xml", voc_text(voc_object("dog", voc_box("11", "6", "30", "15"),
                                                              "<difficult>1</difficult>"),
                                                   0, 0));
    spec = spec_for(DataFormat::voc, dir.path());
  }
  DataParts open() { return open_data(spec, input_of(16, 16, 3)); }

  TempFolder dir;
  DataSpec spec;
};

TEST_F(VocSet, ListsAndClasses) {
  const DataParts parts = open();
  EXPECT_THAT(parts.train.classes(), ElementsAre("cat", "dog"));
  ASSERT_EQ(parts.train.size(), 2);
  ASSERT_EQ(parts.train.boxes(0).size(), 2u);
  expect_box(parts.train.boxes(0)[0], 1, 0.25f, 0.25f, 0.5f, 0.5f);
  expect_box(parts.train.boxes(0)[1], 0, 0.5f, 0.6f, 1.0f, 0.8f);  // 0 and 21 cut by a pixel
  EXPECT_THAT(parts.train.boxes(1), IsEmpty());                    // no annotation: nothing there
  ASSERT_EQ(parts.test.size(), 1);
  expect_box(parts.test.boxes(0)[0], 1, 0.5f, 0.5f, 0.5f, 0.5f);  // the size is the picture's
  EXPECT_TRUE(parts.test.boxes(0)[0].difficult);
}

TEST_F(VocSet, ClassesOfTheDescriptor) {
  spec.classes = {"dog", "cow", "cat"};
  EXPECT_EQ(open().train.boxes(0)[1].category, 2);
  spec.classes = {"dog"};
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("a.xml:8: error: unknown class \"cat\""));
  spec.on_bad_label = OnError::skip;
  const DataParts parts = open();
  EXPECT_EQ(parts.bad_label_count, 1);
  EXPECT_EQ(parts.train.boxes(0).size(), 1u);
}

TEST_F(VocSet, WhatIsWrong) {
  write_text(dir / "Annotations/a.xml", voc_text(voc_object("dog", voc_box("1", "1", "43", "10"))));
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("a.xml:3: error: box [0, 0, 43, 10]"));
  write_text(dir / "Annotations/a.xml",
             voc_text(voc_object("dog", voc_box("1", "1", "4", "10")), 41, 20));
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("is 40 x 20 pixels, its label says 41 x 20"));
  write_text(dir / "ImageSets/Main/train.txt", "a -1\n");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("train.txt:1: error: \"a -1\""));
  write_text(dir / "ImageSets/Main/train.txt", "missing\nb\n");
  EXPECT_THAT(data_error([&] { open(); }),
              HasSubstr("Annotations/missing.xml: error: is not there"));
  std::filesystem::remove(dir / "ImageSets/Main/train.txt");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("train.txt"));
}

TEST_F(VocSet, AnAnnotationWithoutItsPicture) {
  std::filesystem::remove(dir / "JPEGImages/a.png");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("JPEGImages/a.jpg"));
}

// BCCD (shared data): the counts published with it, and its two boxes of one pixel.
TEST(VocSetReal, Bccd) {
  const std::string archive = test::shared_data("data/bccd-voc.tar.xz");
  if (archive.empty()) GTEST_SKIP() << "shared/data/bccd-voc.tar.xz is not there";
  const TempFolder dir;
  ASSERT_EQ(std::system(fmt::format("tar xJf '{}' -C '{}'", archive, dir.path()).c_str()), 0);
  const DataParts parts = open_data(spec_for(DataFormat::voc, dir / "BCCD"), input_of(64, 64, 3));
  EXPECT_THAT(parts.train.classes(), ElementsAre("Platelets", "RBC", "WBC"));
  EXPECT_EQ(parts.train.size() + parts.val.size() + parts.test.size(), 364);
  std::int64_t boxes = 0;
  for (const Dataset* part : {&parts.train, &parts.val, &parts.test}) {
    for (const std::int64_t count : part->class_sizes()) boxes += count;
  }
  EXPECT_EQ(boxes, 4888);
}

// ---- COCO ---------------------------------------------------------------------------------------

std::string coco_text(const std::string& annotations,
                      const std::string& images =
                          R"({"id": 900, "file_name": "a.png", "width": 40, "height": 20},
    {"license": 1, "id": 7, "file_name": "b.png", "width": 20, "height": 20})") {
  return "{\"info\": {\"year\": 2017},\n\"categories\": [{\"id\": 18, \"name\": \"dog\"}, {\"id\": "
         "3, \"name\": \"cat\", \"supercategory\": \"animal\"}],\n\"images\": [" +
         images + "],\n\"annotations\": [" + annotations + "]}\n";
}
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
    write_text(dir / (std::string("annotations/instances_") + name + ".json"), coco_text(one));
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
          read_yolo_labels(damage(txt), "a", kClasses, true, policy);
      }
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace daybreak
