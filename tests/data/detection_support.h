#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "data/bytes.h"
#include "data/data_support.h"
#include "data/dataset.h"
#include "data/formats.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

// Label files of the formats for boxes, written for tests.

namespace daybreak::test {

inline const std::vector<std::string> kClasses = {"cat", "dog", "bird"};

/// Makes the folders on the way too.
inline void put_text(const std::string& path, const std::string& text) {
  write_file(path, Bytes(text.begin(), text.end()));
}
inline void write_picture(const std::string& path, int w, int h) {
  write_file(path, encode_png(noise_image(w, h, 3, 1).view()));
}
inline void expect_box(const LabelBox& label, int category, float cx, float cy, float w, float h) {
  EXPECT_EQ(label.category, category);
  EXPECT_NEAR(label.box.cx, cx, 1e-6);
  EXPECT_NEAR(label.box.cy, cy, 1e-6);
  EXPECT_NEAR(label.box.w, w, 1e-6);
  EXPECT_NEAR(label.box.h, h, 1e-6);
}

inline std::string voc_object(const std::string& name, const std::string& box,
                              const std::string& more = "") {
  return "  <object>\n    <name>" + name + "</name>\n    " + more + "\n    <bndbox>" + box +
         "</bndbox>\n  </object>\n";
}
inline std::string voc_box(const std::string& x0, const std::string& y0, const std::string& x1,
                           const std::string& y1) {
  return fmt::format("<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>", x0, y0, x1,
                     y1);
}
inline std::string voc_text(const std::string& objects, int w = 40, int h = 20) {
  return fmt::format(
      "<annotation>\n  <size><width>{}</width><height>{}</height></size>\n{}</annotation>\n", w, h,
      objects);
}

inline std::string coco_text(const std::string& annotations,
                             const std::string& images =
                                 R"({"id": 900, "file_name": "a.png", "width": 40, "height": 20},
    {"license": 1, "id": 7, "file_name": "b.png", "width": 20, "height": 20})") {
  return "{\"info\": {\"year\": 2017},\n\"categories\": [{\"id\": 18, \"name\": \"dog\"}, {\"id\": "
         "3, \"name\": \"cat\", \"supercategory\": \"animal\"}],\n\"images\": [" +
         images + "],\n\"annotations\": [" + annotations + "]}\n";
}

}  // namespace daybreak::test
