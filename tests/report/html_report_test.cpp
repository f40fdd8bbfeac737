#include "report/html_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "demo_report.h"
#include "xml_check.h"

namespace daybreak {
namespace {

// Not HasSubstr: a failure would print the page.
bool has(const std::string& text, const std::string& piece) {
  return text.find(piece) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& piece) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(piece, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(HtmlReport, IsWellFormedAndComplete) {
  const ReportData data = demo_report();
  const std::string page = html_report(data);
  EXPECT_EQ(XmlCheck(page).error(), "");
  for (const char* id : {"warnings", "curves", "epochs", "mistakes", "confusion", "classes",
                         "samples", "layers", "config", "machine"}) {
    EXPECT_EQ(count_of(page, std::string("<section class=\"warnings\" id=\"") + id + "\"") +
                  count_of(page, std::string("<section id=\"") + id + "\""),
              1u)
        << id;
  }
  EXPECT_TRUE(has(page,
                  "After 6 of 6 epochs the network names <b>91.92&#160;%</b> of the "
                  "validation pictures correctly (best: 92.16&#160;% after epoch 5)"));
  EXPECT_TRUE(has(page, "Training took <b>85.4 s</b> on cpu, 2 threads, f32"));
  EXPECT_TRUE(has(page, "<tr class=\"best\"><td>5</td><td>2,345</td>"));
  EXPECT_TRUE(has(page, "train: {batch: 128, augment: [flip, {pad_crop: 2}]}"));
  EXPECT_TRUE(has(page, "conv1      conv 3x3    32x28x28       320       0.23"));
  EXPECT_EQ(count_of(page, "<figure class=\"shot\""), 24u);
  EXPECT_EQ(count_of(page, "<svg class=\"db-plot\""), 5u);
  const std::int64_t right = data.metrics->confused(3, 3);
  EXPECT_TRUE(has(page, "title=\"true Dress, predicted Dress: " + std::to_string(right)));
}

TEST(HtmlReport, NeedsNoScriptAndNoNetwork) {
  const std::string page = html_report(demo_report());
  for (const char* bad : {"<script", "http:", "https:", "@import", "url("}) {
    EXPECT_FALSE(has(page, bad)) << bad;
  }
}

TEST(HtmlReport, EscapesEverythingFromOutside) {
  ReportData data = demo_report();
  const std::string evil = "<img src=x onerror='alert(1)'>&\"\x1b\xFF";
  data.run_name = data.net_name = data.data_name = data.device = data.metrics_of = evil;
  data.status = data.layers_text = data.config_text = evil;
  data.warnings = {evil};
  data.environment = {{evil, evil}};
  data.marks = {{5, evil}};
  for (std::string& name : data.class_names) name = evil;
  for (MistakePicture& mistake : data.mistakes) mistake.source = evil;
  const std::string page = html_report(data);
  EXPECT_EQ(XmlCheck(page).error(), "");
  EXPECT_FALSE(has(page, "<img src=x"));
  EXPECT_FALSE(has(page, "\x1b"));
  EXPECT_GT(count_of(page, "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;\xEF\xBF\xBD"),
            50u);
}

TEST(HtmlReport, LeavesOutWhatIsNotThere) {
  const std::string empty = html_report(ReportData{});
  EXPECT_EQ(XmlCheck(empty).error(), "");
  EXPECT_TRUE(has(empty, "No epoch has been finished yet"));
  EXPECT_FALSE(has(empty, "<section"));

  ReportData young = demo_report();
  young.epochs.resize(1);
  young.epochs[0].val_loss = young.epochs[0].val_top1 = young.epochs[0].val_top5 = kNoValue;
  young.train_top1.clear();
  young.metrics.reset();
  young.mistakes.clear();
  young.status = "running";
  const std::string page = html_report(young);
  EXPECT_EQ(XmlCheck(page).error(), "");
  EXPECT_TRUE(has(page, "After 1 of 6 epochs the training loss is <b>0.698</b>"));
  EXPECT_TRUE(has(page, "state running"));
  EXPECT_FALSE(has(page, "id=\"confusion\""));
  EXPECT_FALSE(has(page, "accuracy by epoch"));
  EXPECT_FALSE(has(page, ">nan<"));
  EXPECT_FALSE(has(page, " nan"));
}

TEST(HtmlReport, ShowsManyClassesAsAPicture) {
  const ReportData data = demo_report(100);
  const std::string page = html_report(data);
  EXPECT_EQ(XmlCheck(page).error(), "");
  EXPECT_TRUE(has(page, "alt=\"confusion matrix\" src=\"data:image/png;base64,"));
  EXPECT_FALSE(has(page, "class=\"matrix\""));
  EXPECT_LT(page.size(), 600'000u);
}

std::vector<std::uint8_t> decode_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes.push_back(static_cast<std::uint8_t>(bits >> have & 255));
  }
  return bytes;
}

TEST(HtmlReport, PicturesInThePageDecode) {
  for (const int side : {1, 2, 3, 28, 29, 30}) {  // every remainder of three bytes
    const Image picture = demo_picture(side, side, 3);
    const std::string uri = png_data_uri(picture);
    const std::string start = "data:image/png;base64,";
    ASSERT_TRUE(uri.starts_with(start));
    EXPECT_EQ(uri.size() % 4, start.size() % 4);
    const Image back = decode_image(decode_base64(uri.substr(start.size())), "uri");
    EXPECT_TRUE(back.hwc == picture.hwc) << side;
  }
}

TEST(HtmlReport, LargePicturesAreReduced) {
  ReportData data;
  data.mistakes.push_back({{}, demo_picture(1, 900, 3), "big.jpg"});
  const std::string page = html_report(data);
  const std::string start = "src=\"data:image/png;base64,";
  const std::size_t at = page.find(start) + start.size();
  const Image back = decode_image(decode_base64(page.substr(at, page.find('"', at) - at)), "uri");
  EXPECT_EQ(back.w, 160);
  EXPECT_EQ(back.h, 160);
}

TEST(HtmlReport, ReplacesTheFileWhole) {
  std::string folder = (std::filesystem::temp_directory_path() / "daybreak-html-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/report.html";
  const ReportData data = demo_report();
  write_html_report(path, ReportData{});
  write_html_report(path, data);
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_TRUE(text.str() == html_report(data));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder),
                          std::filesystem::directory_iterator()),
            1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace daybreak
