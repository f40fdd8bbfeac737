#include "data/image.h"

#include <gmock/gmock.h>

#include <cmath>

#include "data/codecs.h"
#include "data/data_support.h"
#include "support/shared_data.h"

namespace daybreak {
namespace {

using test::Bytes;
using test::cmyk_jpeg;
using test::data_error;
using test::flat_image;
using test::jpeg_of;
using test::noise_image;
using test::with_orientation;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Written by hand: 2 x 1, 8-bit RGB, one stored deflate block, red then (1, 2, 3).
const Bytes kTinyPng = {0x89, 'P',  'N',  'G',  '\r', '\n', 0x1a, '\n',  //
                        0,    0,    0,    13,   'I',  'H',  'D',  'R',  0,    0,    0,    2,
                        0,    0,    0,    1,    8,    2,    0,    0,    0,    0x7b, 0x40, 0xe8,
                        0xdd, 0,    0,    0,    18,   'I',  'D',  'A',  'T',  0x78, 0x01, 0x01,
                        0x07, 0x00, 0xf8, 0xff, 0x00, 0xff, 0x00, 0x00, 0x01, 0x02, 0x03, 0x06,
                        0x0b, 0x01, 0x06, 0x43, 0xc5, 0x6f, 0x18,  //
                        0,    0,    0,    0,    'I',  'E',  'N',  'D',  0xae, 0x42, 0x60, 0x82};

TEST(Png, DecodesHandWrittenFile) {
  const Image image = decode_image(kTinyPng, "tiny.png");
  EXPECT_EQ(image.w, 2);
  EXPECT_EQ(image.h, 1);
  EXPECT_EQ(image.c, 3);
  EXPECT_EQ(image.hwc, (Bytes{255, 0, 0, 1, 2, 3}));
}

TEST(Png, RoundTripsExactly) {
  for (const int channels : {1, 3}) {
    for (const auto& [w, h] : {std::pair{1, 1}, {7, 5}, {33, 64}}) {
      const Image image = noise_image(w, h, channels, 5);
      const Image back = decode_image(encode_png(image.view()), "x.png");
      EXPECT_EQ(back.w, w);
      EXPECT_EQ(back.h, h);
      EXPECT_EQ(back.c, channels);
      EXPECT_EQ(back.hwc, image.hwc);
    }
  }
}

TEST(Png, EveryCutIsAnErrorUntilTheLastChunk) {
  const Bytes whole = encode_png(noise_image(9, 9, 3, 1).view());
  for (std::size_t size = 0; size + 12 < whole.size(); ++size) {  // IEND may be missing
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode_image(cut, "cut.png"), DataError) << size << " of " << whole.size();
  }
}

TEST(Png, WrongChecksumIsAnError) {
  Bytes bytes = kTinyPng;
  bytes[49] ^= 0x10;  // a pixel
  EXPECT_THAT(data_error([&] { decode_image(bytes, "dir/bad.png"); }),
              StartsWith("dir/bad.png: error: corrupt PNG"));
}

TEST(Png, HugeHeaderIsRefusedBeforeAllocation) {
  Bytes bytes = kTinyPng;
  const auto set = [&](std::size_t at, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  };
  set(16, 70000);
  EXPECT_THAT(data_error([&] { decode_image(bytes, "wide.png"); }), HasSubstr("70000 x 1 pixels"));
  set(16, 65535);
  set(20, 65535);
  EXPECT_THAT(data_error([&] { decode_image(bytes, "big.png"); }), HasSubstr("at most 100000000"));
  set(16, 20000);
  set(20, 1);
  EXPECT_THAT(data_error([&] { decode_image(bytes, "strip.png"); }), HasSubstr("10000 : 1"));
  set(16, 9000);
  set(20, 9000);
  EXPECT_THAT(data_error([&] { decode_image(bytes, "bomb.png"); }), HasSubstr("ends too early"));
  set(16, 0);
  EXPECT_THROW(decode_image(bytes, "none.png"), DataError);
  set(16, 0xffffffff);
  EXPECT_THROW(decode_image(bytes, "negative.png"), DataError);
}

// Written by hand: one grey 8 x 8 block, all quantiser steps 8, DC coefficient 80, first horizontal
// AC coefficient 20 (bits 0 1010000, 10 10100, 0).
const Bytes kTinyJpeg = [] {
  Bytes bytes = {0xff, 0xd8, 0xff, 0xdb, 0, 67, 0};
  bytes.insert(bytes.end(), 64, 8);
  const Bytes rest = {0xff, 0xc0, 0, 11, 8,    0, 8, 0,    8,    1, 1,    0x11, 0,  // frame
                      0xff, 0xc4, 0, 20, 0x00, 1, 0, 0,    0,    0, 0,    0,    0,    0,
                      0,    0,    0, 0,  0,    0, 0, 7,  // DC codes
                      0xff, 0xc4, 0, 21, 0x10, 1, 1, 0,    0,    0, 0,    0,    0,    0,
                      0,    0,    0, 0,  0,    0, 0, 0x00, 0x05,  // AC
                      0xff, 0xda, 0, 8,  1,    1, 0, 0,    63,   0, 0x50, 0xa8, 0xff, 0xd9};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}();

TEST(Jpeg, DecodesHandWrittenFileByTheFormula) {
  const Image image = decode_image(kTinyJpeg, "tiny.jpg");
  ASSERT_EQ(image.w, 8);
  ASSERT_EQ(image.h, 8);
  ASSERT_EQ(image.c, 1);
  // ITU-T T.81, A.3.3: f(x) = F(0,0) / 8 + F(1,0) / (4 sqrt 2) cos((2 x + 1) pi / 16), plus 128.
  for (int x = 0; x < 8; ++x) {
    const double wave = 20.0 * 8.0 / (4.0 * std::sqrt(2.0)) * std::cos((2 * x + 1) * M_PI / 16.0);
    const double wanted = 80.0 * 8.0 / 8.0 + wave + 128.0;
    for (int y = 0; y < 8; ++y)
      EXPECT_NEAR(image.hwc[static_cast<std::size_t>(y) * 8 + x], wanted, 0.75);
  }
}

TEST(Jpeg, NothingIsLeftFromThePictureBefore) {
  const Image clean = decode_image(kTinyJpeg, "tiny.jpg");
  Bytes no_tables = kTinyJpeg;  // without quantiser tables it must never decode
  no_tables.erase(no_tables.begin() + 2, no_tables.begin() + 2 + 69);
  EXPECT_THROW(decode_image(no_tables, "bare.jpg"), DataError);
  EXPECT_EQ(decode_image(kTinyJpeg, "tiny.jpg").hwc, clean.hwc);
}

TEST(Jpeg, SharedPicturesHaveTheirSizes) {
  const std::string folder = test::shared_data("images");
  if (folder.empty()) GTEST_SKIP() << "no shared data";
  EXPECT_EQ(load_image(folder + "/dog.jpg").w, 768);
  EXPECT_EQ(load_image(folder + "/dog.jpg").h, 576);
  EXPECT_EQ(load_image(folder + "/starry_night_google.jpg").w, 1280);
  EXPECT_EQ(load_image(folder + "/starry_night_google.jpg", 1).h, 1014);
}

TEST(Jpeg, DecodesFlatColours) {
  const Image red = decode_image(jpeg_of(flat_image(20, 12, {200, 30, 40}), 95), "red.jpg");
  ASSERT_EQ(red.w, 20);
  ASSERT_EQ(red.h, 12);
  ASSERT_EQ(red.c, 3);
  for (std::size_t i = 0; i < red.hwc.size(); i += 3) {
    EXPECT_NEAR(red.hwc[i], 200, 2);
    EXPECT_NEAR(red.hwc[i + 1], 30, 2);
    EXPECT_NEAR(red.hwc[i + 2], 40, 2);
  }
  const Image grey = decode_image(jpeg_of(flat_image(1, 1, {77})), "grey.jpg");
  EXPECT_EQ(grey.c, 1);
  EXPECT_NEAR(grey.hwc.at(0), 77, 1);
}

TEST(Jpeg, EveryCutIsAnError) {
  const Bytes whole = jpeg_of(noise_image(40, 24, 3, 2));
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {  // without ffd9 at the latest
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode_image(cut, "cut.jpg"), DataError) << size << " of " << whole.size();
  }
  const Bytes half(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2));
  EXPECT_THAT(data_error([&] { decode_image(half, "a/half.jpg"); }),
              StartsWith("a/half.jpg: error: JPEG ends too early: "));
}

TEST(Jpeg, BytesBehindTheEndAreAccepted) {
  Bytes bytes = jpeg_of(noise_image(8, 8, 3, 3));
  const Image clean = decode_image(bytes, "x.jpg");
  bytes.insert(bytes.end(), 100, 0x55);
  EXPECT_EQ(decode_image(bytes, "x.jpg").hwc, clean.hwc);
}

TEST(Jpeg, CmykIsConverted) {
  // Inverted inks: c = 100 / 255 paper left, k = 255 (no black).
  const Image image = decode_image(cmyk_jpeg(16, 16, {100, 200, 255, 255}), "inks.jpg");
  ASSERT_EQ(image.c, 3);
  EXPECT_NEAR(image.hwc[0], 100, 3);
  EXPECT_NEAR(image.hwc[1], 200, 3);
  EXPECT_NEAR(image.hwc[2], 255, 3);
}

// Position of the white pixel that is top left in the stored 2 x 3 picture, for each orientation
// (EXIF 2.3, table of tag 274: where row 0 and column 0 are).
TEST(Jpeg, OrientationIsApplied) {
  const auto mark = [](Image& image, int x, int y) {
    image.hwc[static_cast<std::size_t>(y) * image.w + x] = 255;
  };
  const int expected[8][2] = {{0, 0}, {1, 0}, {1, 2}, {0, 2}, {0, 0}, {2, 0}, {2, 1}, {0, 1}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Image image = flat_image(2, 3, {0});
    mark(image, 0, 0);
    detail::apply_orientation(image, orientation);
    const bool turned = orientation >= 5;
    ASSERT_EQ(image.w, turned ? 3 : 2) << orientation;
    Image wanted = flat_image(image.w, image.h, {0});
    mark(wanted, expected[orientation - 1][0], expected[orientation - 1][1]);
    EXPECT_EQ(image.hwc, wanted.hwc) << orientation;
  }
}

TEST(Jpeg, OrientationIsReadInBothByteOrders) {
  const Bytes plain = jpeg_of(noise_image(24, 16, 3, 4));
  for (const bool big_endian : {false, true}) {
    for (int orientation = 1; orientation <= 8; ++orientation) {
      const Bytes bytes = with_orientation(plain, orientation, big_endian);
      Image wanted = decode_image(plain, "x.jpg");
      detail::apply_orientation(wanted, orientation);
      const Image image = decode_image(bytes, "x.jpg");
      EXPECT_EQ(image.w, wanted.w);
      EXPECT_EQ(image.hwc, wanted.hwc);
      const ImageInfo info = probe_image(bytes, "x.jpg");
      EXPECT_EQ(info.w, image.w);
      EXPECT_EQ(info.h, image.h);
    }
  }
  EXPECT_EQ(detail::scan_jpeg_markers(with_orientation(plain, 9, true)).orientation, 1);
  EXPECT_EQ(detail::scan_jpeg_markers(with_orientation(plain, 0, false)).orientation, 1);
}

TEST(Image, DetectsByContentNotName) {
  const Image image = noise_image(4, 4, 3, 6);
  EXPECT_EQ(decode_image(encode_png(image.view()), "a.jpg").hwc, image.hwc);
  EXPECT_EQ(decode_image(jpeg_of(image), "a.png").w, 4);
  EXPECT_THAT(data_error([] {
                decode_image(Bytes{'G', 'I', 'F', '8', '9', 'a'}, "a.png");
              }),
              HasSubstr("starts with 47 49 46 38 (a GIF picture)"));
  EXPECT_THAT(data_error([] { decode_image(Bytes{}, "zero.jpg"); }),
              HasSubstr("is empty (0 bytes)"));
  EXPECT_THAT(data_error([] {
                decode_image(Bytes{'<', '!', 'D', 'O'}, "page.jpg");
              }),
              HasSubstr("an HTML page?"));
}

TEST(Image, FileErrorsNameTheFile) {
  const test::TempFolder dir;
  EXPECT_THAT(data_error([&] { load_image(dir / "no.png"); }),
              ::testing::AllOf(StartsWith(dir / "no.png"), HasSubstr("No such file")));
  EXPECT_THAT(data_error([&] { load_image(dir.path()); }), HasSubstr("is a folder"));
  ASSERT_EQ(::system(("mkfifo " + (dir / "pipe.png")).c_str()), 0);
  EXPECT_THAT(data_error([&] { load_image(dir / "pipe.png"); }), HasSubstr("not a regular file"));
  test::write_file(dir / "new\nline.png", Bytes{1, 2, 3});
  EXPECT_THAT(data_error([&] { load_image(dir / "new\nline.png"); }),
              HasSubstr("new\\x0aline.png"));
}

TEST(Image, ConvertsChannels) {
  Image image = flat_image(3, 2, {255, 128, 64});
  convert_channels(image, 1);
  ASSERT_EQ(image.hwc.size(), 6u);
  EXPECT_EQ(image.hwc[0], std::lround(0.299 * 255 + 0.587 * 128 + 0.114 * 64));
  convert_channels(image, 3);
  ASSERT_EQ(image.hwc.size(), 18u);
  EXPECT_EQ(image.hwc[4], image.hwc[0]);
  Image white = flat_image(1, 1, {255, 255, 255});
  convert_channels(white, 1);
  EXPECT_EQ(white.hwc[0], 255);
}

// Any damage gives a picture or a DataError, nothing else (sanitizers watch the rest).
TEST(Image, SurvivesDamage) {
  const Bytes seeds[3] = {encode_png(noise_image(12, 9, 3, 1).view()),
                          jpeg_of(noise_image(24, 16, 3, 2)),
                          with_orientation(jpeg_of(noise_image(16, 16, 1, 3)), 6, true)};
  Draws draws(7, Purpose::synthetic, 1, 1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    Bytes bytes = seeds[round % 3];
    const int flips = 1 + static_cast<int>(draws.below(4));
    for (int i = 0; i < flips; ++i) {
      // The first 64 bytes hold the headers: half of the damage goes there.
      const std::uint32_t range =
          draws.below(2) == 0 ? 64u : static_cast<std::uint32_t>(bytes.size());
      bytes[draws.below(range)] = static_cast<std::uint8_t>(draws.below(256));
    }
    try {
      const Image image = decode_image(bytes, "damaged");
      EXPECT_EQ(image.hwc.size(), static_cast<std::size_t>(image.w) * image.h * image.c);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace daybreak
