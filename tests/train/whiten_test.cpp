#include "train/whiten.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "support/temp_folder.h"
#include "train/session.h"

namespace daybreak {
namespace {

class WhitenTest : public testing::Test {
 protected:
  std::vector<float> filters(const std::string& conv, int threads = 1, int pictures = 60,
                             int seed = 1) {
    test::write_text(folder_ / "net.yaml",
                     "input: {channels: 3, height: 10, width: 9, mean: [0.4, 0.5, 0.6], std: [0.2, "
                     "0.25, 0.3]}\nlayers: [{conv: {name: w, " +
                         conv + "}}, {linear: {outputs: 4}}, softmax_loss]\n");
    test::write_text(
        folder_ / "s.yaml",
        "net: net.yaml\ndata: {name: s, sources: [synthetic], classes: [a, b, c, d], "
        "test_limit: 4, train_limit: " +
            std::to_string(pictures) +
            "}\nbatch: 4\nlr: 0.1\nlength: 1e\ndevice: ref\nseed: " + std::to_string(seed) + "\n");
    SessionOptions options;
    options.threads = threads;
    session_ = std::make_unique<Session>(load_solver(folder_ / "s.yaml", {}), options);
    return session_->executor().params().read_weight(0);
  }

  // Second moments of what `count` filters of [3, size, size] say about the training pictures, in
  // the loader's own order and with its own fit.
  std::vector<double> moments(const std::vector<float>& w, int count, int size) {
    LoaderOptions options = session_->phase(0).loader;
    options.transforms.clear();
    options.shuffle = false;
    options.repeat = false;
    options.last_batch = LastBatch::keep;
    Loader loader(session_->data().train, options);
    loader.start(0, 0);
    const double mean[] = {0.4, 0.5, 0.6}, std[] = {0.2, 0.25, 0.3};
    std::vector<double> sums(static_cast<std::size_t>(count) * count, 0.0);
    double patches = 0.0;
    for (std::int64_t done = 0; done < session_->data().train.size();) {
      const Batch& batch = loader.next();
      for (int n = 0; n < batch.count; ++n, ++done) {
        for (int y = 0; y + size <= 10; ++y) {
          for (int x = 0; x + size <= 9; ++x, patches += 1.0) {
            std::vector<double> out(static_cast<std::size_t>(count), 0.0);
            for (int f = 0; f < count; ++f) {
              const float* tap = w.data() + f * 3 * size * size;
              for (int c = 0; c < 3; ++c) {
                for (int i = 0; i < size; ++i) {
                  for (int j = 0; j < size; ++j) {
                    const int at = ((n * 10 + y + i) * 9 + x + j) * 3 + c;
                    out[f] += *tap++ * (batch.images[at] / 255.0 - mean[c]) / std[c];
                  }
                }
              }
            }
            for (int a = 0; a < count; ++a) {
              for (int b = 0; b < count; ++b) sums[a * count + b] += out[a] * out[b];
            }
          }
        }
      }
    }
    for (double& sum : sums) sum /= patches;
    return sums;
  }

  test::TempFolder folder_;
  std::unique_ptr<Session> session_;
};

TEST_F(WhitenTest, WhatTheFiltersSeeIsWhite) {
  const std::vector<float> w = filters("filters: 24, size: 2, pad: 0, init: {whiten: {eps: 1e-9}}");
  ASSERT_EQ(w.size(), 24u * 12u);
  const std::vector<double> second = moments(w, 12, 2);
  for (int a = 0; a < 12; ++a) {
    for (int b = 0; b < 12; ++b) {
      EXPECT_NEAR(second[a * 12 + b], a == b ? 1.0 : 0.0, 2e-3) << a << ", " << b;
    }
  }
  for (int i = 0; i < 144; ++i) EXPECT_EQ(w[144 + i], -w[i]);
}

// eps 1 shrinks the directions of small variance: their outputs have l / (l + 1).
TEST_F(WhitenTest, EpsIsAddedToTheVariances) {
  const std::vector<float> w = filters("filters: 12, size: 2, pad: 0, init: {whiten: {eps: 1}}");
  const std::vector<double> second = moments(w, 12, 2);
  for (int i = 0; i < 12; ++i) {
    double square = 0.0;  // of the filter: 1 / (l + 1)
    for (int k = 0; k < 12; ++k) square += double{w[i * 12 + k]} * w[i * 12 + k];
    EXPECT_NEAR(second[i * 12 + i], 1.0 - square, 1e-3) << i;
  }
}

TEST_F(WhitenTest, FewerFiltersAreTheFirst) {
  const std::vector<float> all = filters("filters: 54, size: 3, init: whiten");
  const std::vector<float> few = filters("filters: 30, size: 3, init: whiten");
  EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin()));
}

TEST_F(WhitenTest, DependsOnDataAndSeedOnly) {
  const std::string conv = "filters: 24, size: 2, init: whiten";
  const std::vector<float> one = filters(conv);
  EXPECT_EQ(filters(conv, 2), one);
  // All pictures are used when there are fewer than 5000, so only their order differs.
  const std::vector<float> other = filters(conv, 1, 60, 9);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(other[i], one[i], 1e-3);
  EXPECT_NE(filters(conv, 1, 61), one);
  set_compute_threads(1);
}

TEST_F(WhitenTest, WindowsLargerThanThePicturesAreRefused) {
  const std::string message =
      test::message_of<ConfigError>([&] { filters("filters: 3, size: [11, 1], init: whiten"); });
  EXPECT_THAT(message,
              testing::HasSubstr("\"init\": whiten needs windows smaller than the pictures"));
}

}  // namespace
}  // namespace daybreak
