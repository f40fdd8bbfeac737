#include <gtest/gtest.h>

#include <cmath>

#include "data/fit.h"

namespace daybreak {
namespace {

// The worked example: a row 0, 1, 4, 2 enlarged to 6 pixels; bytes ten times that.
std::vector<float> enlarged(Resample how) {
  const std::vector<std::uint8_t> row = {0, 10, 40, 20};
  std::vector<float> out;
  resample_part({row.data(), 4, 1, 1}, fit_geometry(4, 1, 6, 1, Fit::stretch), how, out);
  for (float& value : out) value /= 10.0f;
  return out;
}

TEST(Resample, WorkedExample) {
  const std::vector<float> aligned = {0.0f, 0.6f, 1.6f, 3.4f, 3.2f, 2.0f};
  const std::vector<float> linear = {0.0f, 0.5f, 1.5f, 3.5f, 3.0f, 2.0f};
  const auto a = enlarged(Resample::aligned), l = enlarged(Resample::linear);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(a[i], aligned[i], 1e-5) << i;
    EXPECT_NEAR(l[i], linear[i], 1e-5) << i;
  }
}

// Every output pixel again, straight from the formula, over odd sizes and both directions.
TEST(Resample, EqualsTheFormula) {
  const int sizes[][4] = {
      {7, 5, 13, 11}, {31, 17, 8, 6}, {5, 40, 9, 3}, {1, 1, 4, 3}, {9, 9, 1, 1}};
  for (const auto& s : sizes) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(s[0]) * s[1] * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = (i * 97) % 251;
    for (const Resample how : {Resample::linear, Resample::aligned}) {
      std::vector<float> out;
      resample_part({pixels.data(), s[0], s[1], 3}, fit_geometry(s[0], s[1], s[2], s[3], {}), how,
                    out);
      const auto position = [&](int o, int in, int n) {
        if (how == Resample::aligned) return n > 1 ? double(o) * (in - 1) / (n - 1) : 0.0;
        return std::max(0.0, (o + 0.5) * in / n - 0.5);
      };
      const auto at = [&](int y, int x, int c) {
        y = std::min(y, s[1] - 1), x = std::min(x, s[0] - 1);
        return double(pixels[(static_cast<std::size_t>(y) * s[0] + x) * 3 + c]);
      };
      std::size_t i = 0;
      for (int y = 0; y < s[3]; ++y)
        for (int x = 0; x < s[2]; ++x)
          for (int c = 0; c < 3; ++c, ++i) {
            const double py = position(y, s[1], s[3]), px = position(x, s[0], s[2]);
            const int iy = int(py), ix = int(px);
            const double fy = py - iy, fx = px - ix;
            const double expected =
                (1 - fy) * ((1 - fx) * at(iy, ix, c) + fx * at(iy, ix + 1, c)) +
                fy * ((1 - fx) * at(iy + 1, ix, c) + fx * at(iy + 1, ix + 1, c));
            ASSERT_NEAR(out[i], expected, 1e-3);
          }
    }
  }
}

// The network's input is the fitted picture, unrounded: bytes are within half of it.
TEST(Resample, NormalizedInputAgreesWithBytes) {
  std::vector<std::uint8_t> pixels(40 * 23 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = (i * 61) % 256;
  const PictureView picture{pixels.data(), 40, 23, 3};
  for (const Fit fit : {Fit::stretch, Fit::letterbox, Fit::center_crop}) {
    for (const Resample how : {Resample::area, Resample::linear, Resample::aligned}) {
      for (const ChannelOrder order : {ChannelOrder::rgb, ChannelOrder::bgr}) {
        InputSpec input;
        input.width = 19, input.height = 16;
        input.fit = fit, input.resample = how, input.order = order;
        input.mean = {0.1, 0.2, 0.3}, input.std = {0.5, 0.25, 1.0};
        std::vector<float> found(3 * 16 * 19);
        fit_normalized(picture, input, found.data());
        const Image bytes = fit_picture(picture, 19, 16, input.rule());
        for (int c = 0; c < 3; ++c)
          for (int i = 0; i < 16 * 19; ++i) {
            const int from = order == ChannelOrder::bgr ? 2 - c : c;
            const double byte = bytes.hwc[static_cast<std::size_t>(i) * 3 + from];
            const double expected = (byte / 255.0 - input.mean[c]) / input.std[c];
            ASSERT_NEAR(found[c * 16 * 19 + i], expected, 0.51 / 255.0 / input.std[c]);
          }
      }
    }
  }
}

}  // namespace
}  // namespace daybreak
