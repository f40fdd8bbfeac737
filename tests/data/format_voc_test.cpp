#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "data/detection_support.h"

namespace daybreak {
namespace {

using test::data_error;
using test::expect_box;
using test::input_of;
using test::put_text;
using test::spec_for;
using test::TempFolder;
using test::voc_box;
using test::voc_object;
using test::voc_text;
using test::write_picture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
    put_text(dir / "ImageSets/Main/train.txt", "a\nb\n");
    put_text(dir / "ImageSets/Main/test.txt", "c\n");
    for (const char* name : {"a", "b", "c"}) {
      write_picture(dir / (std::string("JPEGImages/") + name + ".png"), 40, 20);
    }
    put_text(dir / "Annotations/a.xml", voc_text(voc_object("dog", voc_box("1", "1", "20", "10")) +
                                                 voc_object("cat", voc_box("0", "5", "40", "21"))));
    put_text(dir / "Annotations/c.xml",
             voc_text(voc_object("dog", voc_box("11", "6", "30", "15"), "<difficult>1</difficult>"),
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
  put_text(dir / "Annotations/a.xml", voc_text(voc_object("dog", voc_box("1", "1", "43", "10"))));
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("a.xml:3: error: box [0, 0, 43, 10]"));
  put_text(dir / "Annotations/a.xml",
           voc_text(voc_object("dog", voc_box("1", "1", "4", "10")), 41, 20));
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("is 40 x 20 pixels, its label says 41 x 20"));
  put_text(dir / "ImageSets/Main/train.txt", "a -1\n");
  EXPECT_THAT(data_error([&] { open(); }), HasSubstr("train.txt:1: error: \"a -1\""));
  put_text(dir / "ImageSets/Main/train.txt", "missing\nb\n");
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

}  // namespace
}  // namespace daybreak
