// The numbers were computed from fastai v2's formulas in double precision, apart from this code.
#include "train/lr_range.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "support/temp_folder.h"
#include "train/schedule_vectors.h"

namespace daybreak {
namespace {

using test::expect_vector;
using test::message_of;
using ::testing::HasSubstr;

/// A loss that falls around lr 10^-2.5 and explodes near 1.
double synthetic_loss(double lr) {
  const double x = std::log10(lr);
  return 2.3 - 1.6 / (1.0 + std::exp(-2.0 * (x + 2.5))) + 0.5 * std::pow(10.0, 4.0 * x);
}

LrRangeRecorder run_synthetic(const LrRangeOptions& options) {
  LrRangeRecorder recorder(options);
  while (recorder.record(synthetic_loss(recorder.next_lr())) == LrRangeState::running) {
  }
  return recorder;
}

TEST(LrRange, RatesOfBothForms) {
  const LrRangeOptions options;
  const auto value = [](LrRangeOptions o) {
    return [o](std::int64_t i) { return lr_range_value(o, static_cast<int>(i)); };
  };
  expect_vector("exponential", {0, 1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99},
                {1e-07, 1.20226e-07, 6.30957e-07, 3.98107e-06, 2.51189e-05, 0.000158489, 0.001,
                 0.00630957, 0.0398107, 0.251189, 1.58489, 8.31764},
                value(options), test::Compare::ratio);
  LrRangeOptions linear;
  linear.linear = true;
  expect_vector("linear", {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99},
                {1e-07, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9.9}, value(linear));
  EXPECT_NEAR(lr_range_value(linear, 1), 0.1, 1e-6);
  LrRangeOptions old;
  old.start = 1e-5;
  old.steps = 196;
  expect_vector("fastai 0.7", {0, 1, 10, 20, 49, 50, 98, 100, 120, 150, 194, 195},
                {1e-05, 1.07303e-05, 2.02359e-05, 4.09492e-05, 0.000316228, 0.000339322, 0.01,
                 0.011514, 0.0471487, 0.390694, 8.68511, 9.3194},
                value(old), test::Compare::ratio);
}

TEST(LrRange, SmoothingAndStop) {
  const LrRangeRecorder recorder = run_synthetic({});
  EXPECT_EQ(recorder.state(), LrRangeState::exploded);
  ASSERT_EQ(recorder.points(), 96) << "the point that stops the run is recorded";
  const std::vector<std::int64_t> at = {0, 1, 10, 20, 30, 40, 50, 60, 70, 80, 94, 95};
  expect_vector("raw", at,
                {2.2998, 2.29977, 2.29902, 2.29517, 2.27636, 2.18938, 1.86969, 1.26695, 0.859602,
                 0.737001, 60.817, 126.298},
                [&](std::int64_t i) { return recorder.raw()[i]; });
  expect_vector("smoothed", at,
                {2.2998, 2.29979, 2.29949, 2.29834, 2.29382, 2.27546, 2.2075, 2.03391, 1.78703,
                 1.55725, 3.967, 6.82446},
                [&](std::int64_t i) { return recorder.smoothed()[i]; });
  EXPECT_NEAR(recorder.best(), 1.4397, 5e-5);
  EXPECT_EQ(recorder.smoothed()[88], recorder.best());
}

TEST(LrRange, Suggestions) {
  const LrRangeRecorder recorder = run_synthetic({});
  const LrSuggestions found = suggest_lr(recorder.lr(), recorder.smoothed(), 100);
  EXPECT_EQ(found.window_begin, 10);
  EXPECT_EQ(found.window_end - found.window_begin, 81);
  const auto expect = [](const LrSuggestion& suggestion, int window_index, double lr) {
    ASSERT_TRUE(suggestion.lr.has_value()) << suggestion.reason;
    EXPECT_EQ(suggestion.point, 10 + window_index);
    EXPECT_NEAR(*suggestion.lr / lr, 1.0, 1e-5);
  };
  expect(found.valley, 38, 0.000691831);
  expect(found.slide, 56, 0.0190546);
  expect(found.minimum, 78, 0.109648);
  expect(found.steep, 56, 0.0190546);
}

TEST(LrRange, SinglePrecisionGivesTheSamePoints) {
  const LrRangeRecorder recorder = run_synthetic({});
  std::vector<double> rounded;
  for (const double value : recorder.smoothed()) rounded.push_back(static_cast<float>(value));
  const LrSuggestions found = suggest_lr(recorder.lr(), rounded, 100);
  EXPECT_EQ(found.valley.point, 48);
  EXPECT_EQ(found.slide.point, 66);
  EXPECT_EQ(found.minimum.point, 88);
  EXPECT_EQ(found.steep.point, 66);
}

TEST(LrRange, NonFiniteLossEndsAndIsNotRecorded) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    LrRangeRecorder recorder({});
    for (int i = 0; i < 20; ++i) EXPECT_EQ(recorder.record(2.0), LrRangeState::running);
    EXPECT_EQ(recorder.record(bad), LrRangeState::non_finite);
    EXPECT_EQ(recorder.points(), 20);
    EXPECT_TRUE(recorder.enough());
    for (const double value : recorder.smoothed()) EXPECT_NEAR(value, 2.0, 1e-12);
  }
  LrRangeRecorder recorder({});
  for (int i = 0; i < 15; ++i) recorder.record(2.0);
  recorder.record(NAN);
  EXPECT_FALSE(recorder.enough()) << "15 points are too few";
}

TEST(LrRange, AllStepsWithoutAnExplosion) {
  LrRangeOptions options;
  options.steps = 20;
  LrRangeRecorder recorder(options);
  for (int i = 0; i < 19; ++i) ASSERT_EQ(recorder.record(2.0 - 0.05 * i), LrRangeState::running);
  EXPECT_EQ(recorder.record(1.0), LrRangeState::done);
}

TEST(LrRange, SlideNeedsSixteenPoints) {
  std::vector<double> lr, loss;
  for (int i = 0; i < 21; ++i) {
    lr.push_back(std::pow(10.0, 0.1 * i - 5));
    loss.push_back(2.0 - 0.01 * i * i);
  }
  // 21 points with 10 planned: the window is [1, 16), 15 points.
  LrSuggestions found = suggest_lr(lr, loss, 10);
  EXPECT_FALSE(found.slide.lr.has_value());
  EXPECT_THAT(found.slide.reason, HasSubstr("needs 16 points in the window, found 15"));
  EXPECT_TRUE(found.valley.lr && found.minimum.lr && found.steep.lr);
  found = suggest_lr(lr, loss, 9);
  EXPECT_TRUE(found.slide.lr.has_value()) << "16 points";
  EXPECT_EQ(found.steep.point, 14) << "the last difference is the steepest";
}

TEST(LrRange, WindowIsCutAtTheFirstNan) {
  std::vector<double> lr, loss;
  for (int i = 0; i < 40; ++i) {
    lr.push_back(std::pow(10.0, 0.1 * i - 5));
    loss.push_back(i == 12 ? NAN : 2.0 - 0.01 * i);
  }
  const LrSuggestions found = suggest_lr(lr, loss, 40);
  EXPECT_EQ(found.window_begin, 4);
  EXPECT_EQ(found.window_end, 12);
  EXPECT_EQ(found.minimum.point, 11);
}

TEST(LrRange, DegenerateCurvesStayInRange) {
  // Always rising: the longest falling run has one point and the valley index would be -1.
  std::vector<double> lr, loss;
  for (int i = 0; i < 30; ++i) {
    lr.push_back(std::pow(10.0, 0.1 * i - 5));
    loss.push_back(1.0 + i);
  }
  const LrSuggestions rising = suggest_lr(lr, loss, 30);
  EXPECT_EQ(rising.valley.point, 3) << "clamped to the first point of the window";
  const LrSuggestions empty = suggest_lr({}, {}, 100);
  for (const LrSuggestion* suggestion :
       {&empty.valley, &empty.slide, &empty.minimum, &empty.steep}) {
    EXPECT_FALSE(suggestion->lr.has_value());
    EXPECT_FALSE(suggestion->reason.empty());
  }
  const LrSuggestions one =
      suggest_lr(std::vector<double>(7, 1e-3), std::vector<double>(7, 1.0), 10);
  EXPECT_TRUE(one.minimum.lr && one.valley.lr);
  EXPECT_FALSE(one.steep.lr.has_value());
}

TEST(LrRange, OptionsAreChecked) {
  const auto refusal = [](LrRangeOptions options) {
    return message_of<ConfigError>([&] { check_lr_range(options); });
  };
  EXPECT_EQ(refusal({}), "no exception");
  EXPECT_THAT(refusal({.start = 0}), HasSubstr("expected 0 < start < end"));
  EXPECT_THAT(refusal({.start = 10, .end = 1}), HasSubstr("from 10 to 1"));
  EXPECT_THAT(refusal({.end = INFINITY}), HasSubstr("expected 0 < start < end"));
  EXPECT_THAT(refusal({.steps = 15}), HasSubstr("at least 16"));
  EXPECT_THAT(refusal({.stop_factor = 1}), HasSubstr("more than 1"));
  EXPECT_THAT(refusal({.smoothing = 1}), HasSubstr("less than 1"));
}

}  // namespace
}  // namespace daybreak
