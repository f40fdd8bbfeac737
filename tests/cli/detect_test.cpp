#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "interop/darknet_eval.h"
#include "support/command.h"
#include "support/temp_folder.h"

// What a user sees of `import` and `detect`, good input and bad.

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const char* const kCfg =
    "[net]\nheight=32\nwidth=32\nchannels=3\nbatch=8\nmax_batches=100\npolicy=steps\nsteps=50\n"
    "scales=.1\nangle=7\n"
    "[convolutional]\nfilters=8\nsize=3\nstride=4\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=8,8,16,16\nnum=2\nclasses=2\n";

// A picture as a binary PPM turned to PNG by hand would need an encoder: a PNG of one colour, whose
// size stands in its header, is enough. Made by zlib's stored blocks.
std::uint32_t crc(const std::string& bytes) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (const char raw : bytes) {
    c ^= static_cast<unsigned char>(raw);
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<std::uint32_t>(data.size())) + type + data +
         big_endian(crc(type + data));
}

std::string png(int width, int height, bool with_pixels = true) {
  const std::string header = big_endian(static_cast<std::uint32_t>(width)) +
                             big_endian(static_cast<std::uint32_t>(height)) +
                             std::string("\x08\x02\0\0\0", 5);
  std::string zlib("\x78\x01", 2);
  std::uint32_t a = 1, b = 0;
  for (int y = 0; with_pixels && y < height; ++y) {
    std::string row(1 + 3 * static_cast<std::size_t>(width), '\x40');
    row[0] = 0;
    for (const char raw : row) {
      a = (a + static_cast<unsigned char>(raw)) % 65521;
      b = (b + a) % 65521;
    }
    const auto size = static_cast<std::uint16_t>(row.size());
    zlib += std::string(1, y + 1 == height ? '\1' : '\0') + static_cast<char>(size & 255) +
            static_cast<char>(size >> 8) + static_cast<char>(~size & 255) +
            static_cast<char>(static_cast<std::uint16_t>(~size) >> 8) + row;
  }
  zlib += big_endian(b << 16 | a);
  return std::string("\x89PNG\r\n\x1a\n", 8) + chunk("IHDR", header) + chunk("IDAT", zlib) +
         chunk("IEND", "");
}

class Detect : public testing::Test {
 protected:
  void SetUp() override {
    test::write_text(folder_ / "toy.cfg", kCfg);
    test::write_text(folder_ / "toy.weights", test::weights_bytes(test::random_weights(kCfg, 1)));
    test::write_text(folder_ / "toy.names", "cat\ndog\n");
    const CommandResult import = daybreak({"import", "darknet", folder_ / "toy.cfg",
                                           folder_ / "toy.weights", "--out", folder_ / "net"});
    ASSERT_EQ(import.exit_code, 0) << import.err;
    said_ = import.out;
    net_ = folder_ / "net/toy.yaml";
  }

  CommandResult detect(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"detect", net_, "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return daybreak(arguments);
  }

  test::TempFolder folder_;
  std::string net_, said_;
};

TEST_F(Detect, ImportSaysAndWritesWhatItDid) {
  EXPECT_THAT(said_, HasSubstr("dialect ab"));
  EXPECT_THAT(said_, HasSubstr("every byte of"));
  EXPECT_THAT(said_, HasSubstr("2 class names from"));
  const std::string net = test::read_text(net_);
  EXPECT_THAT(net, HasSubstr("classes: [cat, dog]"));
  EXPECT_THAT(net, HasSubstr("line 10: [net] angle=7"));
  const std::string solver = test::read_text(folder_ / "net/toy-solver.yaml");
  EXPECT_THAT(solver, HasSubstr("net: toy.yaml"));
  EXPECT_THAT(solver, HasSubstr("at: [50]"));
}

TEST_F(Detect, WritesBoxesAsTheContractSays) {
  test::write_text(folder_ / "a.png", png(64, 48));
  const CommandResult result =
      detect({folder_ / "a.png", "--conf", "0.2", "--json", "-", "--out", folder_ / "drawn"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["width"], 64);
  EXPECT_EQ(json[0]["height"], 48);
  ASSERT_FALSE(json[0]["detections"].empty());
  double before = 1.0;
  for (const Json& d : json[0]["detections"]) {
    EXPECT_EQ(d["category"], d["category_id"] == 0 ? "cat" : "dog");
    EXPECT_GT(d["score"].get<double>(), 0.2);
    EXPECT_LE(d["score"].get<double>(), before);
    before = d["score"];
    ASSERT_EQ(d["bbox"].size(), 4u);
    EXPECT_GE(d["bbox"][0].get<double>(), 0.0);
    EXPECT_LE(d["bbox"][0].get<double>() + d["bbox"][2].get<double>(), 64.01);
    EXPECT_LE(d["bbox"][1].get<double>() + d["bbox"][3].get<double>(), 48.01);
  }
  EXPECT_TRUE(fs::exists(folder_ / "drawn/a.png"));
  EXPECT_EQ(Json::parse(std::ifstream(folder_ / "drawn/detections.json")), json);
}

TEST_F(Detect, TakesFoldersAndLists) {
  fs::create_directory(folder_ / "pictures");
  test::write_text(folder_ / "pictures/b.png", png(8, 8));
  test::write_text(folder_ / "pictures/a.png", png(1, 1));
  test::write_text(folder_ / "pictures/notes.md", "no picture");
  const CommandResult all = detect({folder_ / "pictures"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_LT(all.out.find("a.png: "), all.out.find("b.png: "));
  EXPECT_THAT(all.out, HasSubstr(" ms, network "));
  const CommandResult profile = detect({folder_ / "pictures/a.png", "--profile"});
  EXPECT_THAT(profile.out, testing::ContainsRegex("conv0 +conv 3x3/4"));
  EXPECT_THAT(profile.out, HasSubstr("\ntotal "));
  test::write_text(folder_ / "list.txt", "pictures/b.png\n\npictures/a.png\n");
  const CommandResult listed = detect({folder_ / "list.txt"});
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_GT(listed.out.find("a.png: "), listed.out.find("b.png: "));
}

TEST_F(Detect, SaysWhichPicturesAreBad) {
  fs::create_directory(folder_ / "empty");
  const CommandResult empty = detect({folder_ / "empty"});
  EXPECT_EQ(empty.exit_code, 4);
  EXPECT_THAT(empty.err, HasSubstr("empty: error: the folder is empty"));
  test::write_text(folder_ / "empty/readme.md", "x");
  EXPECT_THAT(detect({folder_ / "empty"}).err, HasSubstr("none of the 1 files is a picture"));
  EXPECT_EQ(detect({folder_ / "no.png"}).exit_code, 4);
  test::write_text(folder_ / "huge.png", png(20000, 20000, /*with_pixels=*/false));
  const CommandResult huge = detect({folder_ / "huge.png"});
  EXPECT_EQ(huge.exit_code, 4);
  EXPECT_THAT(huge.err, HasSubstr("20000 x 20000"));
  test::write_text(folder_ / "cut.png", png(64, 64).substr(0, 500));
  EXPECT_EQ(detect({folder_ / "cut.png"}).exit_code, 4);
  // One bad picture among others: the others are done, the exit code says so.
  test::write_text(folder_ / "good.png", png(16, 16));
  const CommandResult mixed = detect({folder_ / "cut.png", folder_ / "good.png"});
  EXPECT_EQ(mixed.exit_code, 4);
  EXPECT_THAT(mixed.out, HasSubstr("good.png: "));
  EXPECT_THAT(mixed.err, HasSubstr("1 of 2 pictures could not be read"));
}

TEST_F(Detect, ListsOfOtherSystemsAreRead) {
  test::write_text(folder_ / "a.png", png(8, 8));
  test::write_text(folder_ / "b c.png", png(8, 8));
  test::write_text(folder_ / "list.txt",
                   "\xef\xbb\xbf"
                   "a.png\r\n\r\n  \t\n  b c.png \r\n");
  const CommandResult listed = detect({folder_ / "list.txt"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr("b c.png: "));
  test::write_text(folder_ / "list.txt", " \r\n\n");
  const CommandResult blank = detect({folder_ / "list.txt"});
  EXPECT_EQ(blank.exit_code, 4);
  EXPECT_THAT(blank.err, HasSubstr("list.txt: error: the list names no pictures"));
  test::write_text(folder_ / "list.txt", std::string("a\0b\nc", 5));
  const CommandResult binary = detect({folder_ / "list.txt"});
  EXPECT_EQ(binary.exit_code, 4);
  EXPECT_THAT(binary.err, HasSubstr("list.txt: error: holds binary data"));
  fs::create_directories(folder_ / "outer/inner");
  EXPECT_THAT(detect({folder_ / "outer"}).err, HasSubstr("has folders (1) but no pictures"));
}

TEST_F(Detect, NamesOfFilesMayBeAnything) {
  fs::create_directory(folder_ / "p q");
  const std::string spaced = folder_ / "p q/\u00e4 \u56fe.png";
  const std::string broken = folder_ /
                             "no\xff"
                             "utf8.png",
                    lines = folder_ / "two\nlines.png";
  for (const std::string& name : {spaced, broken, lines}) test::write_text(name, png(8, 8));
  const CommandResult result =
      detect({spaced, broken, lines, "--out", folder_ / "p q/out", "--json", folder_ / "r.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'),
            std::count(result.out.begin(), result.out.end(), '%') + 3);
  const Json json = Json::parse(std::ifstream(folder_ / "r.json"));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[0]["image"], spaced);
  EXPECT_THAT(json[1]["image"].get<std::string>(), HasSubstr("no\xef\xbf\xbdutf8.png"));
  EXPECT_TRUE(fs::exists(folder_ / "p q/out/\u00e4 \u56fe.png"));
}

TEST_F(Detect, EveryPictureHasItsOwnDrawing) {
  // The number added to one name must not hit another picture's name.
  fs::create_directory(folder_ / "p");
  for (const char* name : {"a-2.png", "a.jpeg", "a.jpg", "a.png"}) {
    test::write_text(folder_ / "p/" + name, png(8, 8));
  }
  const CommandResult result = detect({folder_ / "p", "--out", folder_ / "drawn"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* name : {"a-2.png", "a.png", "a-3.png", "a-4.png"}) {
    EXPECT_TRUE(fs::exists(folder_ / "drawn/" + name)) << name;
  }
}

TEST_F(Detect, ManyBoxesAreReportedButNotAllDrawn) {
  std::string wide = kCfg;
  wide.replace(wide.find("width=32"), 8, "width=1600");
  test::write_text(folder_ / "wide.cfg", wide);
  ASSERT_EQ(daybreak({"import", "darknet", folder_ / "wide.cfg", folder_ / "toy.weights", "--out",
                      folder_ / "wide"})
                .exit_code,
            0);
  test::write_text(folder_ / "a.png", png(64, 48));
  const CommandResult result =
      daybreak({"detect", folder_ / "wide/wide.yaml", folder_ / "a.png", "--threads", "1", "--conf",
                "0", "--nms", "1", "--out", folder_ / "drawn"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("a.png: 12800 objects"));  // 8 x 400 cells, 2 anchors, 2 classes
  EXPECT_THAT(result.out, HasSubstr("\n  only the 1000 best are drawn\n"));
}

TEST_F(Detect, RefusesOptionsAndTargetsThatCannotBe) {
  const std::string picture = folder_ / "a.png";
  test::write_text(picture, png(8, 8));
  for (const char* share : {"nan", "1.5", "-0.1", "inf", "x", ""}) {
    for (const char* option : {"--conf", "--nms"}) {
      const CommandResult result = detect({picture, option, share});
      EXPECT_EQ(result.exit_code, 2) << option << " " << share;
      EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    }
  }
  EXPECT_THAT(detect({picture, "--conf", "nan"}).err, HasSubstr("must be a number in 0..1"));
  const CommandResult darknet = daybreak({"detect", folder_ / "toy.cfg", picture});
  EXPECT_EQ(darknet.exit_code, 2);
  EXPECT_THAT(darknet.err, HasSubstr("is a file of Darknet's: first daybreak import darknet"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const CommandResult pipe = detect({picture, "--json", folder_ / "pipe"});
  EXPECT_EQ(pipe.exit_code, 5);
  EXPECT_THAT(pipe.err, HasSubstr("pipe: error: is no regular file"));
}

TEST_F(Detect, RefusesWeightsAndNetworksThatDoNotFit) {
  test::write_text(folder_ / "a.png", png(8, 8));
  const CommandResult none =
      daybreak({"detect", std::string(DAYBREAK_SOURCE_DIR) + "/cfg/net/squeezenet1.1.yaml",
                folder_ / "a.png"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("give --weights FILE"));
  const CommandResult other =
      daybreak({"detect", std::string(DAYBREAK_SOURCE_DIR) + "/cfg/net/squeezenet1.1.yaml",
                "--weights", folder_ / "net/weights.safetensors", folder_ / "a.png"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("has no detection head"));
  EXPECT_EQ(detect({folder_ / "a.png", "--weights", folder_ / "a.png"}).exit_code, 4);
  const auto weights_error = [&](const std::string& bytes) {
    test::write_text(folder_ / "bad.safetensors", bytes);
    const CommandResult result =
        detect({folder_ / "a.png", "--weights", folder_ / "bad.safetensors"});
    EXPECT_EQ(result.exit_code, 4);
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err;
  };
  const std::string good = test::read_text(folder_ / "net/weights.safetensors");
  weights_error(good.substr(0, good.size() - 4));
  weights_error(good + "more");
  weights_error(good.substr(0, 5));
  std::string with_nan = good;  // of a program that writes no digest
  with_nan.replace(with_nan.find("\"digest\""), 8, "\"digesx\"");
  const float nan = NAN;
  std::memcpy(with_nan.data() + with_nan.size() - sizeof nan, &nan, sizeof nan);
  EXPECT_THAT(weights_error(with_nan), HasSubstr("nan"));
  EXPECT_EQ(detect({folder_ / "a.png", "--conf", "1.5"}).exit_code, 2);
  EXPECT_EQ(detect({folder_ / "a.png", "--nms-kind", "magic"}).exit_code, 2);
}

TEST_F(Detect, ImportRefusesInItsPlace) {
  const auto import = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "import", "darknet",      folder_ / "bad.cfg", folder_ / "toy.weights",
        "--out",  folder_ / "bad"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return daybreak(arguments);
  };
  test::write_text(folder_ / "bad.cfg", "[net]\nheight=8\nwidth=8\nchannels=3\n[gru]\noutput=3\n");
  const CommandResult gru = import({});
  EXPECT_EQ(gru.exit_code, 2);
  EXPECT_THAT(gru.err, HasSubstr("bad.cfg:5:1: error: [gru]: cannot be imported"));
  EXPECT_FALSE(fs::exists(folder_ / "bad"));
  // The cfg of another network.
  std::string other = kCfg;
  other.replace(other.find("filters=8"), 9, "filters=9");
  test::write_text(folder_ / "bad.cfg", other);
  const CommandResult fit = import({});
  EXPECT_EQ(fit.exit_code, 4);
  EXPECT_THAT(fit.err, HasSubstr("does not fit"));
  EXPECT_THAT(fit.err, HasSubstr("needed"));
  // CFG and WEIGHTS in the wrong order: one line, not one for each line of the file.
  const CommandResult swapped = daybreak({"import", "darknet", folder_ / "toy.weights",
                                          folder_ / "toy.cfg", "--out", folder_ / "bad"});
  EXPECT_EQ(swapped.exit_code, 2);
  EXPECT_THAT(swapped.err, HasSubstr("toy.weights: error: holds binary data, expected a Darknet"));
  EXPECT_EQ(std::count(swapped.err.begin(), swapped.err.end(), '\n'), 1) << swapped.err;
  std::string huge = kCfg;
  huge.replace(huge.find("width=32"), 8, "width=4000000000");
  test::write_text(folder_ / "bad.cfg", huge);
  EXPECT_THAT(import({}).err, HasSubstr("\"width\" must be in "));
  EXPECT_EQ(import({"--dialect", "xx"}).exit_code, 2);
  EXPECT_EQ(daybreak({"import", "keras", "a", "b", "--out", folder_ / "c"}).exit_code, 2);
  EXPECT_EQ(daybreak({"import", "darknet", folder_ / "no.cfg", folder_ / "toy.weights", "--out",
                      folder_ / "c"})
                .exit_code,
            2);
  EXPECT_EQ(daybreak({"import", "darknet", folder_ / "toy.cfg", folder_ / "no.weights", "--out",
                      folder_ / "c"})
                .exit_code,
            4);
}

}  // namespace
}  // namespace daybreak
