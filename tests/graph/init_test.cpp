#include "graph/init.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/parallel.h"

namespace daybreak {
namespace {

Param weight(std::vector<std::int64_t> dims, Init init, std::string name = "c1.weight") {
  Shape shape{static_cast<int>(dims[0]), static_cast<int>(dims[1]), 1, 1};
  if (dims.size() == 4) {
    shape.h = static_cast<int>(dims[2]);
    shape.w = static_cast<int>(dims[3]);
  }
  return {std::move(name), {"weight", ParamRole::weight, std::move(dims), shape}, init};
}

Param vector_param(ParamRole role, Init init = {}) {
  return {"n.x", {"x", role, {37}, Shape{1, 37, 1, 1}}, init};
}

struct Moments {
  double mean = 0, std = 0, low = 0, high = 0, kurtosis = 0;
};

Moments moments(const std::vector<float>& values) {
  Moments m;
  m.low = m.high = values.front();
  for (float v : values) {
    m.mean += v;
    m.low = std::min<double>(m.low, v);
    m.high = std::max<double>(m.high, v);
  }
  m.mean /= static_cast<double>(values.size());
  double second = 0, fourth = 0;
  for (float v : values) {
    const double d = v - m.mean;
    second += d * d;
    fourth += d * d * d * d;
  }
  second /= static_cast<double>(values.size());
  fourth /= static_cast<double>(values.size());
  m.std = std::sqrt(second);
  m.kurtosis = fourth / (second * second);
  return m;
}

constexpr std::uint64_t kSeed = 7;

// 64 x 128 x 3 x 3: fan_in 1152, fan_out 576, 73,728 numbers; 5 standard errors of the standard
// deviation are 1.3 %.
Moments of(Init init) {
  return moments(initial_values(weight({64, 128, 3, 3}, init), kSeed));
}

void expect_normal(const Moments& m, double std) {
  EXPECT_NEAR(m.std, std, 0.013 * std);
  EXPECT_NEAR(m.mean, 0.0, 5 * std / std::sqrt(73728.0));
  EXPECT_NEAR(m.kurtosis, 3.0, 0.1);
}

void expect_uniform(const Moments& m, double low, double high) {
  const double width = high - low;
  EXPECT_NEAR(m.std, width / std::sqrt(12.0), 0.013 * width);
  EXPECT_GE(m.low, low);
  EXPECT_LT(m.low, low + 1e-3 * width);
  EXPECT_LE(m.high, high);
  EXPECT_GT(m.high, high - 1e-3 * width);
  EXPECT_NEAR(m.kurtosis, 1.8, 0.05);
}

TEST(Init, WeightsFollowTheirFormulas) {
  expect_normal(of({.kind = InitKind::he_normal}), std::sqrt(2.0 / 1152));
  expect_normal(of({.kind = InitKind::he_normal, .slope = 1.0f}), std::sqrt(1.0 / 1152));
  expect_normal(of({.slope = 0.1f}), std::sqrt(2.0 / 1.01 / 1152));
  expect_normal(of({.kind = InitKind::xavier_normal}), std::sqrt(2.0 / (1152 + 576)));
  expect_normal(of({.kind = InitKind::normal, .a = 0.02f}), 0.02);
  const double he = std::sqrt(6.0 / 1152), xavier = std::sqrt(6.0 / (1152 + 576));
  expect_uniform(of({.kind = InitKind::he_uniform}), -he, he);
  expect_uniform(of({.kind = InitKind::xavier_uniform}), -xavier, xavier);
  expect_uniform(of({.kind = InitKind::uniform, .a = -0.5f, .b = 1.5f}), -0.5, 1.5);
  const double fan = 1.0 / std::sqrt(1152.0);
  expect_uniform(of({.kind = InitKind::fan_in_uniform}), -fan, fan);
}

TEST(Init, MatrixFansAreItsSides) {
  const Moments m =
      moments(initial_values(weight({300, 400}, {.kind = InitKind::fan_in_uniform}), kSeed));
  EXPECT_NEAR(m.high, 1.0 / 20, 1e-4);
  EXPECT_NEAR(m.low, -1.0 / 20, 1e-4);
}

TEST(Init, RolesHaveDefaults) {
  const auto all = [](const Param& param, float value) {
    const std::vector<float> values = initial_values(param, kSeed);
    EXPECT_EQ(values, std::vector<float>(37, value));
  };
  all(vector_param(ParamRole::bias), 0);
  all(vector_param(ParamRole::norm_scale), 1);
  all(vector_param(ParamRole::norm_shift), 0);
  all(vector_param(ParamRole::running_mean), 0);
  all(vector_param(ParamRole::running_var), 1);
  all(vector_param(ParamRole::norm_scale, {.kind = InitKind::constant, .a = 0.25f}), 0.25f);
}

TEST(Init, DiracIsTheIdentity) {
  const std::vector<float> values =
      initial_values(weight({3, 2, 3, 3}, {.kind = InitKind::dirac}), 1);
  std::vector<float> expected(3 * 2 * 9, 0.0f);
  expected[0 * 18 + 0 * 9 + 4] = 1.0f;
  expected[1 * 18 + 1 * 9 + 4] = 1.0f;
  EXPECT_EQ(values, expected);
}

TEST(Init, DiracMayDrawTheFiltersBeyondTheChannels) {
  const Init partly{.kind = InitKind::dirac, .random_rest = true};
  const std::vector<float> values = initial_values(weight({5, 2, 3, 3}, partly), 1);
  const std::vector<float> drawn =
      initial_values(weight({5, 2, 3, 3}, {.kind = InitKind::fan_in_uniform}), 1);
  for (int i = 0; i < 2 * 18; ++i) EXPECT_EQ(values[i], i == 4 || i == 18 + 13 ? 1.0f : 0.0f) << i;
  EXPECT_TRUE(std::equal(values.begin() + 36, values.end(), drawn.begin() + 36));
}

TEST(Init, DiracOfGroupsMapsEveryChannelToItself) {
  const std::vector<float> values =
      initial_values(weight({6, 1, 1, 3}, {.kind = InitKind::dirac, .groups = 6}), 1);
  for (int channel = 0; channel < 6; ++channel) {
    EXPECT_EQ(values[channel * 3 + 0], 0.0f);
    EXPECT_EQ(values[channel * 3 + 1], 1.0f);
    EXPECT_EQ(values[channel * 3 + 2], 0.0f);
  }
}

TEST(Init, DependsOnNameAndSeedOnly) {
  const Init init{.kind = InitKind::normal, .a = 1.0f};
  const std::vector<float> one = initial_values(weight({40, 30, 3, 3}, init), 1);
  EXPECT_EQ(initial_values(weight({40, 30, 3, 3}, init), 1), one);
  EXPECT_NE(initial_values(weight({40, 30, 3, 3}, init), 2), one);
  EXPECT_NE(initial_values(weight({40, 30, 3, 3}, init, "c2.weight"), 1), one);
  EXPECT_NE(initial_values(weight({40, 30, 3, 3}, init), std::uint64_t{1} << 40), one);
}

TEST(Init, DoesNotDependOnThreads) {
  const Param param = weight({128, 65, 3, 3}, {.kind = InitKind::he_normal});
  const int before = compute_threads();
  set_compute_threads(1);
  const std::vector<float> one = initial_values(param, 3);
  set_compute_threads(3);
  const std::vector<float> three = initial_values(param, 3);
  set_compute_threads(before);
  EXPECT_EQ(one, three);
}

// The start of every run ever made hangs on these: a change here breaks reproducibility.
TEST(Init, NumbersAreFrozen) {
  EXPECT_EQ(name_hash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(name_hash("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(name_hash("foobar"), 0x85944171f73967e8u);
  // From an independent Philox and Box-Muller in Python; element 4096 starts the second chunk.
  const std::vector<float> values =
      initial_values(weight({64, 128, 3, 3}, {.kind = InitKind::normal, .a = 1.0f}), kSeed);
  EXPECT_FLOAT_EQ(values[0], 0.4141170351f);
  EXPECT_FLOAT_EQ(values[1], 0.8055460524f);
  EXPECT_FLOAT_EQ(values[3], -0.9828674895f);
  EXPECT_FLOAT_EQ(values[4096], -0.7628302931f);
  EXPECT_FLOAT_EQ(values[4097], 2.1374253481f);
}

}  // namespace
}  // namespace daybreak
