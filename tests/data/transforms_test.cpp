#include "data/transforms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "data/augmenter.h"
#include "data/data_support.h"
#include "data/fit.h"

namespace daybreak {
namespace {

using test::Bytes;
using test::flat_image;
using test::noise_image;

std::vector<int> border_row(int n, int pad, BorderMode mode) {
  std::vector<int> row;
  for (int i = -pad; i < n + pad; ++i) row.push_back(border_index(i, n, mode));
  return row;
}

Augmenter make(std::vector<TransformSpec> specs, int w, int h, int c, std::uint64_t seed = 3,
               Fit fit = Fit::stretch) {
  Augmenter::Options options;
  options.width = w;
  options.height = h;
  options.channels = c;
  options.seed = seed;
  options.fit = fit;
  options.mean_colour.assign(static_cast<std::size_t>(c), 200);
  return Augmenter(std::move(specs), options);
}

Image run(const Augmenter& augmenter, const Image& image, std::int64_t epoch, std::int64_t sample) {
  AugmentScratch scratch;
  Image out;
  out.reshape(augmenter.options().width, augmenter.options().height, image.c);
  augmenter.apply(image.view(), epoch, sample, scratch, out.hwc.data());
  return out;
}

std::uint8_t at(const Image& image, int x, int y, int c) {
  return image.hwc[(static_cast<std::size_t>(y) * image.w + x) * image.c + c];
}

// semantics.md 3.4: row of 8, pad 4.
TEST(Border, RowsOfTheSemantics) {
  EXPECT_EQ(border_row(8, 4, BorderMode::symmetric),
            (std::vector<int>{3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 6, 5, 4}));
  EXPECT_EQ(border_row(8, 4, BorderMode::reflect),
            (std::vector<int>{4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3}));
  EXPECT_EQ(border_row(3, 2, BorderMode::edge), (std::vector<int>{0, 0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(border_row(3, 2, BorderMode::zero), (std::vector<int>{-1, -1, 0, 1, 2, -1, -1}));
}

TEST(Border, AnyDistanceStaysInside) {
  for (const BorderMode mode : {BorderMode::symmetric, BorderMode::reflect, BorderMode::edge}) {
    for (int n = 1; n <= 5; ++n) {
      for (const int index : border_row(n, 17, mode)) {
        EXPECT_GE(index, 0);
        EXPECT_LT(index, n);
      }
    }
  }
}

// Pads into a larger picture, then cuts: what pad_crop means, written down plainly.
Image naive_pad_crop(const Image& in, int pad, BorderMode mode, int x0, int y0, int w, int h) {
  Image padded;
  padded.reshape(in.w + 2 * pad, in.h + 2 * pad, in.c);
  for (int y = 0; y < padded.h; ++y) {
    for (int x = 0; x < padded.w; ++x) {
      const auto source = [&](int i, int n) {
        i -= pad;
        if (i >= 0 && i < n) return i;
        if (mode == BorderMode::zero) return -1;
        if (mode == BorderMode::edge) return i < 0 ? 0 : n - 1;
        const int edge = mode == BorderMode::symmetric ? 1 : 0;
        return i < 0 ? -i - edge : 2 * n - 2 + edge - i;
      };
      const int sx = source(x, in.w);
      const int sy = source(y, in.h);
      for (int c = 0; c < in.c; ++c) {
        padded.hwc[(static_cast<std::size_t>(y) * padded.w + x) * in.c + c] =
            sx < 0 || sy < 0 ? 0 : at(in, sx, sy, c);
      }
    }
  }
  Image out;
  out.reshape(w, h, in.c);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      for (int c = 0; c < in.c; ++c) {
        out.hwc[(static_cast<std::size_t>(y) * w + x) * in.c + c] = at(padded, x + x0, y + y0, c);
      }
    }
  }
  return out;
}

Image naive_mirror(const Image& in, bool vertical) {
  Image out = in;
  for (int y = 0; y < in.h; ++y) {
    for (int x = 0; x < in.w; ++x) {
      for (int c = 0; c < in.c; ++c) {
        out.hwc[(static_cast<std::size_t>(y) * in.w + x) * in.c + c] =
            vertical ? at(in, x, in.h - 1 - y, c) : at(in, in.w - 1 - x, y, c);
      }
    }
  }
  return out;
}

TEST(PadCropFlip, EqualsTheNaiveForm) {
  const BorderMode modes[] = {BorderMode::symmetric, BorderMode::reflect, BorderMode::zero,
                              BorderMode::edge};
  int flipped = 0;
  for (int round = 0; round < 400; ++round) {
    const int channels = round % 5 == 4 ? 2 : round % 2 == 0 ? 3 : 1;
    const int w = 5 + round % 13;
    const int h = 5 + round % 7;
    const int pad = round % 5;
    const PadCrop crop{pad, modes[round % 4], round % 3 == 0};
    const Image image = noise_image(w, h, channels, static_cast<std::uint64_t>(round));
    const Augmenter augmenter = make({crop, Flip{0.5}, Flip{0.5, true}}, w, h, channels);
    const Image got = run(augmenter, image, round, round * 7);

    Draws draws(3, Purpose::augment, static_cast<std::uint64_t>(round),
                static_cast<std::uint64_t>(round * 7));
    const auto bound =
        static_cast<std::uint32_t>(crop.compat_f0 ? std::max(1, 2 * pad) : 2 * pad + 1);
    const auto x0 = static_cast<int>(draws.below(bound));
    const auto y0 = static_cast<int>(draws.below(bound));
    Image wanted = naive_pad_crop(image, pad, crop.mode, x0, y0, w, h);
    if (draws.uniform() < 0.5f) wanted = naive_mirror(wanted, false), ++flipped;
    if (draws.uniform() < 0.5f) wanted = naive_mirror(wanted, true);
    ASSERT_EQ(got.hwc, wanted.hwc) << "round " << round;
  }
  EXPECT_GT(flipped, 120);
  EXPECT_LT(flipped, 280);
}

TEST(PadCropFlip, SequencesEqualSingleSteps) {
  const Image image = noise_image(12, 10, 3, 1);
  const Augmenter both =
      make({Flip{1.0}, PadCrop{0, BorderMode::zero}, Flip{1.0, true}, Flip{1.0}}, 12, 10, 3);
  EXPECT_EQ(run(both, image, 0, 0).hwc, naive_mirror(image, true).hwc);
  const Augmenter twice = make({Flip{1.0}, Flip{1.0}}, 12, 10, 3);
  EXPECT_EQ(run(twice, image, 0, 0).hwc, image.hwc);
}

// Rows of three channels go several pixels at a time: every rest, and nothing beyond the picture.
TEST(Flip, RowsOfEveryLength) {
  for (int w = 1; w <= 40; ++w) {
    const Image image = noise_image(w, 2, 3, static_cast<std::uint64_t>(w));
    const Augmenter augmenter = make({Flip{1.0}}, w, 2, 3);
    EXPECT_EQ(run(augmenter, image, 0, 0).hwc, naive_mirror(image, false).hwc) << w;
  }
}

TEST(PadCrop, OffsetsCoverTheirRange) {
  for (const bool compat : {false, true}) {
    std::set<int> xs;
    std::set<int> ys;
    for (std::uint64_t sample = 0; sample < 2000; ++sample) {
      Draws draws(1, Purpose::augment, 0, sample);
      const CropStart start =
          draw_pad_crop(PadCrop{4, BorderMode::symmetric, compat}, 32, 32, 32, 32, draws);
      xs.insert(start.x);
      ys.insert(start.y);
    }
    EXPECT_EQ(*xs.begin(), -4);
    EXPECT_EQ(*xs.rbegin(), compat ? 3 : 4);
    EXPECT_EQ(xs.size(), compat ? 8u : 9u);
    EXPECT_EQ(ys, xs);
  }
}

TEST(PadCrop, RefusesMirrorsWiderThanThePicture) {
  EXPECT_NO_THROW(make({PadCrop{8, BorderMode::symmetric}}, 8, 8, 3));
  EXPECT_THROW(make({PadCrop{9, BorderMode::symmetric}}, 8, 8, 3), ConfigError);
  EXPECT_NO_THROW(make({PadCrop{7, BorderMode::reflect}}, 8, 8, 3));
  EXPECT_THROW(make({PadCrop{8, BorderMode::reflect}}, 8, 8, 3), ConfigError);
  EXPECT_NO_THROW(make({PadCrop{99, BorderMode::zero}}, 8, 8, 3));
}

TEST(Flip, AlternateFlipsEverySecondEpoch) {
  const Image image = noise_image(6, 6, 1, 1);
  const Bytes mirrored = naive_mirror(image, false).hwc;
  const Augmenter augmenter = make({Flip{0.5, false, true}}, 6, 6, 1);
  int first = 0;
  for (int sample = 0; sample < 300; ++sample) {
    const bool flips = run(augmenter, image, 0, sample).hwc == mirrored;
    first += flips ? 1 : 0;
    for (int epoch = 1; epoch < 4; ++epoch) {
      EXPECT_EQ(run(augmenter, image, epoch, sample).hwc == mirrored, flips != (epoch % 2 == 1));
    }
  }
  EXPECT_NEAR(first, 150, 50);
}

TEST(Flip, RateFollowsP) {
  int count = 0;
  for (std::uint64_t sample = 0; sample < 4000; ++sample) {
    Draws draws(1, Purpose::augment, 0, sample);
    count += draw_flip(Flip{0.25}, 1, 0, static_cast<std::int64_t>(sample), draws) ? 1 : 0;
  }
  EXPECT_NEAR(count, 1000, 130);
}

TEST(Draws, DependOnSeedEpochAndSampleOnly) {
  const Image image = noise_image(16, 16, 3, 2);
  const std::vector<TransformSpec> specs = {PadCrop{4}, Flip{}, ColorJitter{0.3, 0.3, 0.3, 0.1},
                                            Rotate{}, Cutout{5, 1.0}};
  const Augmenter augmenter = make(specs, 16, 16, 3);
  const Bytes once = run(augmenter, image, 2, 5).hwc;
  EXPECT_EQ(run(augmenter, image, 2, 5).hwc, once);
  EXPECT_NE(run(augmenter, image, 3, 5).hwc, once);
  EXPECT_NE(run(augmenter, image, 2, 6).hwc, once);
  EXPECT_NE(run(make(specs, 16, 16, 3, 4), image, 2, 5).hwc, once);
}

TEST(RandomPart, StaysInsideWithAreaAndRatio) {
  const RandomResizedCrop spec;
  for (std::uint64_t sample = 0; sample < 1000; ++sample) {
    Draws draws(1, Purpose::augment, 0, sample);
    const PartRect part = draw_random_part(spec, 120, 90, draws);
    ASSERT_GE(part.x, 0);
    ASSERT_GE(part.y, 0);
    ASSERT_LE(part.x + part.w, 120);
    ASSERT_LE(part.y + part.h, 90);
    EXPECT_GT(part.w * part.h, 0.07 * 120 * 90);
    EXPECT_NEAR(static_cast<double>(part.w) / part.h, 1.04, 0.35);
  }
  Draws draws(1, Purpose::augment, 0, 0);  // no part can have the ratio: the centre
  const PartRect strip = draw_random_part(spec, 1000, 10, draws);
  EXPECT_EQ(strip.h, 10);
  EXPECT_EQ(strip.w, 13);
  EXPECT_EQ(strip.x, 493);
}

TEST(RandomPart, OnePixelPictureWorks) {
  const Image image = flat_image(1, 1, {9, 8, 7});
  const Image out = run(make({RandomResizedCrop{}, Flip{}}, 5, 4, 3), image, 0, 0);
  EXPECT_EQ(out.hwc, flat_image(5, 4, {9, 8, 7}).hwc);
}

TEST(Resize, ShorterSideDecides) {
  EXPECT_EQ(resized_size({256}, 500, 375, 224, 224), (std::array<int, 2>{341, 256}));
  EXPECT_EQ(resized_size({256}, 375, 500, 224, 224), (std::array<int, 2>{256, 341}));
  EXPECT_EQ(resized_size({0}, 500, 375, 224, 224), (std::array<int, 2>{298, 224}));
  EXPECT_EQ(resized_size({0}, 100, 100, 64, 32), (std::array<int, 2>{64, 64}));
  EXPECT_EQ(resized_size({10}, 10000, 1, 8, 8), (std::array<int, 2>{100000, 10}));
}

TEST(Resize, ThenCenterCropTakesTheMiddle) {
  Image image = flat_image(40, 20, {10});
  for (int y = 0; y < 20; ++y) {
    for (int x = 10; x < 30; ++x) image.hwc[static_cast<std::size_t>(y) * 40 + x] = 250;
  }
  const Image out = run(make({Resize{10}, CenterCrop{}}, 10, 10, 1), image, 0, 0);
  EXPECT_EQ(out.hwc, flat_image(10, 10, {250}).hwc);
  // Without resize the crop is taken from the original.
  const Image crop = run(make({CenterCrop{}}, 10, 10, 1), image, 0, 0);
  EXPECT_EQ(crop.hwc, flat_image(10, 10, {250}).hwc);
}

TEST(Resize, ExtremeStripDoesNotNeedGigabytes) {
  const Image strip = flat_image(9000, 1, {50, 60, 70});
  const Image out = run(make({Resize{4000}, CenterCrop{}}, 16, 16, 3), strip, 0, 0);
  EXPECT_EQ(out.hwc, flat_image(16, 16, {50, 60, 70}).hwc);
}

TEST(ColorJitter, BrightnessAndContrastOfGrey) {
  Bytes pixels = {0, 50, 100, 250};
  color_jitter(pixels.data(), 4, 1, {1.2f, 1.0f, 1.0f, 0.0f});
  EXPECT_EQ(pixels, (Bytes{0, 60, 120, 255}));
  pixels = {0, 50, 100, 250};  // mean 100
  color_jitter(pixels.data(), 4, 1, {1.0f, 0.5f, 1.0f, 0.0f});
  EXPECT_EQ(pixels, (Bytes{50, 75, 100, 175}));
}

TEST(ColorJitter, SaturationZeroIsGrey) {
  Bytes pixels = {200, 100, 50};
  color_jitter(pixels.data(), 1, 3, {1.0f, 1.0f, 0.0f, 0.0f});
  const int grey = static_cast<int>(std::lround(0.299 * 200 + 0.587 * 100 + 0.114 * 50));
  for (const std::uint8_t v : pixels) EXPECT_EQ(v, grey);
}

TEST(ColorJitter, HueTurnsThroughTheColours) {
  const auto turned = [](Bytes rgb, float turns) {
    color_jitter(rgb.data(), 1, 3, {1.0f, 1.0f, 1.0f, turns});
    return rgb;
  };
  EXPECT_EQ(turned({255, 0, 0}, 1.0f / 3), (Bytes{0, 255, 0}));
  EXPECT_EQ(turned({255, 0, 0}, -1.0f / 3), (Bytes{0, 0, 255}));
  EXPECT_EQ(turned({200, 100, 100}, 0.5f), (Bytes{100, 200, 200}));
  EXPECT_EQ(turned({200, 150, 20}, 1.0f), (Bytes{200, 150, 20}));
  EXPECT_EQ(turned({80, 80, 80}, 0.3f), (Bytes{80, 80, 80}));
}

TEST(ColorJitter, NeutralFactorsChangeNothing) {
  Image image = noise_image(9, 9, 3, 8);
  const Bytes before = image.hwc;
  color_jitter(image.hwc.data(), 81, 3, {});
  EXPECT_EQ(image.hwc, before);
}

TEST(Rotate, QuarterTurnIsExact) {
  const Image image = noise_image(5, 5, 1, 4);
  Image out = image;
  rotate(image.view(), 90.0f, BorderMode::zero, out.hwc.data());
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 5; ++x)
      EXPECT_EQ(at(out, x, y, 0), at(image, 4 - y, x, 0));  // anticlockwise
  }
}

TEST(Rotate, BorderKeepsFlatPicturesFlat) {
  const Image image = flat_image(11, 9, {90, 120, 30});
  for (const BorderMode mode : {BorderMode::symmetric, BorderMode::reflect, BorderMode::edge}) {
    Image out = image;
    rotate(image.view(), 17.0f, mode, out.hwc.data());
    EXPECT_EQ(out.hwc, image.hwc);
  }
  Image out = image;
  rotate(image.view(), 30.0f, BorderMode::zero, out.hwc.data());
  EXPECT_EQ(at(out, 0, 0, 0), 0);
  EXPECT_EQ(at(out, 5, 4, 1), 120);
}

TEST(Hsv, FactorsOfOneChangeNothing) {
  Image image = noise_image(20, 10, 3, 4);
  const Bytes before = image.hwc;
  change_hsv(image.hwc.data(), 200, 3, {});
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(image.hwc[i], before[i], 1);
}

TEST(Hsv, HueSaturationAndExposure) {
  Bytes red = {200, 0, 0};
  change_hsv(red.data(), 1, 3, {1.0f / 3, 1.0f, 1.0f});
  EXPECT_EQ(red, (Bytes{0, 200, 0}));
  Bytes pale = {200, 100, 100};  // saturation 1/2
  change_hsv(pale.data(), 1, 3, {0.0f, 1.5f, 1.0f});
  EXPECT_EQ(pale, (Bytes{200, 50, 50}));
  change_hsv(pale.data(), 1, 3, {0.0f, 9.0f, 2.0f});  // both end at most at 1
  EXPECT_EQ(pale, (Bytes{255, 0, 0}));
  Bytes grey = {100, 200};
  change_hsv(grey.data(), 2, 1, {0.3f, 2.0f, 1.5f});
  EXPECT_EQ(grey, (Bytes{150, 255}));
}

TEST(Hsv, DrawsAreInRange) {
  for (int i = 0; i < 200; ++i) {
    Draws draws(1, Purpose::augment, 0, static_cast<std::uint64_t>(i));
    const HsvFactors factors = draw_hsv({0.1, 1.5, 2.0}, draws);
    EXPECT_LE(std::abs(factors.hue), 0.1f);
    EXPECT_GE(factors.saturation, 1 / 1.5f - 1e-6f);
    EXPECT_LE(factors.saturation, 1.5f);
    EXPECT_GE(factors.exposure, 0.5f - 1e-6f);
    EXPECT_LE(factors.exposure, 2.0f);
  }
}

TEST(Cutout, FillsAClippedSquare) {
  Image image = flat_image(8, 8, {10, 10, 10});
  const Bytes colour = {1, 2, 3};
  cutout(image.hwc.data(), 8, 8, 3, {0, 7}, 4, colour);
  int filled = 0;
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      const bool inside = x < 2 && y >= 5;  // [-2, 2) x [5, 9)
      EXPECT_EQ(at(image, x, y, 0), inside ? 1 : 10);
      filled += at(image, x, y, 2) == 3 ? 1 : 0;
    }
  }
  EXPECT_EQ(filled, 2 * 3);
}

TEST(Cutout, InThePipelineUsesTheMeanColour) {
  const Image image = flat_image(16, 16, {10});
  const Image out = run(make({Flip{}, Cutout{4, 1.0}}, 16, 16, 1), image, 0, 1);
  const auto filled = std::count(out.hwc.begin(), out.hwc.end(), 200);
  EXPECT_GE(filled, 4);
  EXPECT_LE(filled, 16);
  const Image spared = run(make({Cutout{4, 0.0}}, 16, 16, 1), image, 0, 1);
  EXPECT_EQ(spared.hwc, image.hwc);
}

// semantics.md 6.6.
TEST(Fit, LetterboxIntegers) {
  FitGeometry g = fit_geometry(768, 576, 416, 416, Fit::letterbox);
  EXPECT_EQ(std::vector<int>({g.place_w, g.place_h, g.place_x, g.place_y}),
            std::vector<int>({416, 312, 0, 52}));
  g = fit_geometry(500, 333, 416, 416, Fit::letterbox);
  EXPECT_EQ(std::vector<int>({g.place_w, g.place_h, g.place_x, g.place_y}),
            std::vector<int>({416, 277, 0, 69}));
  g = fit_geometry(1, 9000, 32, 32, Fit::letterbox);
  EXPECT_EQ(g.place_w, 1);
  EXPECT_EQ(g.place_h, 32);
}

TEST(Fit, LetterboxFillsTheRest) {
  const Image out = fit_picture(flat_image(8, 4, {250}).view(), 8, 8, Fit::letterbox);
  for (int x = 0; x < 8; ++x) {
    EXPECT_EQ(at(out, x, 1, 0), 127);
    EXPECT_EQ(at(out, x, 2, 0), 250);
    EXPECT_EQ(at(out, x, 5, 0), 250);
    EXPECT_EQ(at(out, x, 6, 0), 127);
  }
}

TEST(Fit, CenterCropTakesTheMiddleSquare) {
  const FitGeometry g = fit_geometry(640, 427, 227, 227, Fit::center_crop);
  EXPECT_EQ(g.crop_w, 427);
  EXPECT_EQ(g.crop_h, 427);
  EXPECT_EQ(g.crop_x, 106);
  EXPECT_EQ(g.crop_y, 0);
  EXPECT_EQ(g.place_w, 227);
}

TEST(Fit, ShrinkingAveragesAreas) {
  Image image;
  image.reshape(4, 2, 1);
  image.hwc = {0, 10, 100, 200, 20, 30, 120, 220};
  const Image out = fit_picture(image.view(), 2, 1, Fit::stretch);
  EXPECT_EQ(out.hwc, (Bytes{15, 160}));
}

// semantics.md 6.6: half-pixel centres, row 0, 1, 4, 2 to 6 columns gives 0, .5, 1.5, 3.5, 3, 2
// (times 40).
TEST(Fit, EnlargingUsesHalfPixelCentres) {
  Image image;
  image.reshape(4, 1, 1);
  image.hwc = {0, 40, 160, 80};
  const Image out = fit_picture(image.view(), 6, 1, Fit::stretch);
  const int wanted[6] = {0, 20, 60, 140, 120, 80};
  for (int x = 0; x < 6; ++x) EXPECT_NEAR(out.hwc[static_cast<std::size_t>(x)], wanted[x], 1) << x;
}

TEST(Augmenter, ListsWithoutSizesStartFromTheFittedPicture) {
  const Image image = noise_image(30, 20, 3, 1);
  const Image fitted = fit_picture(image.view(), 16, 16, Fit::letterbox);
  const std::vector<TransformSpec> specs = {PadCrop{2, BorderMode::edge}, Rotate{}, Flip{}};
  const Augmenter augmenter = make(specs, 16, 16, 3, 1, Fit::letterbox);
  EXPECT_FALSE(sets_size(specs));
  EXPECT_TRUE(sets_size({Flip{}, RandomResizedCrop{}}));
  for (int sample = 0; sample < 20; ++sample) {
    EXPECT_EQ(run(augmenter, image, 0, sample).hwc, run(augmenter, fitted, 0, sample).hwc);
  }
}

// Any list gives the output size from any picture, and never reads outside (sanitizers watch).
TEST(Augmenter, RandomListsOfTransforms) {
  const TransformSpec all[] = {PadCrop{3, BorderMode::reflect},
                               PadCrop{4, BorderMode::zero},
                               Flip{},
                               Flip{0.5, true},
                               Flip{0.5, false, true},
                               RandomResizedCrop{},
                               ColorJitter{0.4, 0.4, 0.4, 0.1},
                               Rotate{15, 1.0},
                               Cutout{5, 1.0},
                               Resize{9},
                               Resize{0},
                               CenterCrop{7},
                               CenterCrop{0}};
  Draws draws(5, Purpose::synthetic, 0, 0);
  for (int round = 0; round < 600; ++round) {
    std::vector<TransformSpec> specs;
    for (std::uint32_t i = draws.below(6); i > 0; --i)
      specs.push_back(all[draws.below(std::size(all))]);
    const int channels = draws.below(2) == 0 ? 1 : 3;
    const Image image = noise_image(1 + static_cast<int>(draws.below(24)),
                                    1 + static_cast<int>(draws.below(24)), channels, 1);
    const Augmenter augmenter = make(specs, 12, 8, channels, 1, static_cast<Fit>(draws.below(3)));
    const Image out = run(augmenter, image, round, round);
    EXPECT_EQ(run(augmenter, image, round, round).hwc, out.hwc);
  }
}

}  // namespace
}  // namespace daybreak
