#include "data/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "data/data_support.h"

namespace daybreak {
namespace {

using test::input_of;
using test::spec_for;

TEST(Measure, EqualsThePlainFormula) {
  DataSpec spec = spec_for(DataFormat::synthetic, "");
  spec.train_limit = 700;
  const Dataset data = open_data(spec, input_of(9, 7, 3)).train;
  const ChannelStats stats = measure(data, input_of(9, 7, 3));
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0;
    double squares = 0;
    double count = 0;
    for (std::int64_t i = 0; i < data.size(); ++i) {
      const Image image = data.load(i);
      for (std::size_t k = c; k < image.hwc.size(); k += 3) {
        const double v = image.hwc[k] / 255.0;
        sum += v;
        squares += v * v;
        ++count;
      }
    }
    const double mean = sum / count;
    EXPECT_NEAR(stats.mean[c], mean, 1e-12);
    EXPECT_NEAR(stats.std[c], std::sqrt(squares / count - mean * mean), 1e-10);
  }
  InputSpec unscaled = input_of(9, 7, 3);
  unscaled.scale = 1.0;
  const ChannelStats bytes = measure(data, unscaled);
  EXPECT_NEAR(bytes.mean[0], 255 * stats.mean[0], 1e-9);
}

// Pictures of several sizes are fitted first, so what is cached does not change the result.
TEST(Measure, StreamedFittedAndConstantPictures) {
  const test::TempFolder dir;
  for (int i = 0; i < 5; ++i) {
    const Image image =
        test::flat_image(3 + i, 4, {static_cast<std::uint8_t>(i < 4 ? 51 : 102), 255, 0});
    test::write_file(dir / "train/a/" + std::to_string(i) + ".png", encode_png(image.view()));
  }
  test::write_folder(dir.path(), "test", 1, 1, 4, 4);
  std::filesystem::rename(dir / "test/class0", dir / "test/a");
  DataSpec spec = spec_for(DataFormat::folder, dir.path());
  const InputSpec input = input_of(2, 2, 3);
  OpenOptions options;
  options.cache_fitted = true;
  for (const std::int64_t cache_bytes : {100'000, 65, 0}) {
    spec.cache_bytes = cache_bytes;
    const Dataset data = open_data(spec, input, options).train;
    EXPECT_EQ(data.memory_bytes(), cache_bytes == 0 ? 0u : cache_bytes == 65 ? 60u : 300u);
    const ChannelStats stats = measure(data, input);
    EXPECT_NEAR(stats.mean[0], 0.2 + 0.2 / 5, 1e-12);
    EXPECT_NEAR(stats.std[0], 0.2 * std::sqrt(0.2 * 0.8), 1e-12);
    EXPECT_EQ(stats.mean[1], 1.0);
    EXPECT_EQ(stats.std[2], 1.0 / 255.0);
    EXPECT_NEAR(measure(data, input, 1).mean[0], 0.2, 1e-12);  // the first picture only
  }
}

TEST(Measure, FillsTheInputInItsChannelOrder) {
  const test::TempFolder dir;
  test::write_file(dir / "train/a/1.png",
                   encode_png(test::flat_image(2, 2, {51, 102, 255}).view()));
  test::write_file(dir / "test/a/1.png", encode_png(test::flat_image(2, 2, {0, 0, 0}).view()));
  InputSpec input = input_of(2, 2, 3);
  EXPECT_TRUE(mean_colour(input).empty());
  const Dataset train = open_data(spec_for(DataFormat::folder, dir.path()), input).train;
  InputSpec bgr = input;
  bgr.order = ChannelOrder::bgr;
  bgr.std = {1, 2, 3};
  complete_statistics(input, train);
  complete_statistics(bgr, train);
  EXPECT_NEAR(input.mean[0], 0.2, 1e-12);
  EXPECT_NEAR(input.mean[2], 1.0, 1e-12);
  EXPECT_NEAR(bgr.mean[0], 1.0, 1e-12);
  EXPECT_EQ(bgr.std[1], 2.0);
  EXPECT_EQ(mean_colour(input), (test::Bytes{51, 102, 255}));
  EXPECT_EQ(mean_colour(bgr), (test::Bytes{51, 102, 255}));
}

// semantics.md 3.4.
TEST(Measure, FashionMnist) {
  const char* dir = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::is_directory(dir))
    GTEST_SKIP() << "needs the package dataset-fashion-mnist";
  const DataParts parts = open_data(spec_for(DataFormat::idx, dir), input_of(28, 28, 1));
  EXPECT_EQ(parts.train.size(), 60000);
  EXPECT_EQ(parts.test.size(), 10000);
  for (const std::int64_t size : parts.train.class_sizes()) EXPECT_EQ(size, 6000);
  const ChannelStats train = measure(parts.train, input_of(28, 28, 1));
  EXPECT_NEAR(train.mean[0], .2860406, 1e-7);
  EXPECT_NEAR(train.std[0], .3530242, 1e-7);
  const ChannelStats test = measure(parts.test, input_of(28, 28, 1));
  EXPECT_NEAR(test.mean[0], .2868493, 1e-7);
  EXPECT_NEAR(test.std[0], .3524442, 1e-7);
}

}  // namespace
}  // namespace daybreak
