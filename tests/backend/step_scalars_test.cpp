#include "backend/step_scalars.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace daybreak {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

StepScalars guarded(float scale, std::uint32_t interval) {
  StepScalars s;
  s.guarded = 1;
  s.loss_scale = scale;
  s.scale_growth = 2.0f;
  s.scale_backoff = 0.5f;
  s.growth_interval = interval;
  return s;
}

// The scales that torch.amp.GradScaler(init_scale=8, growth_interval=3) of PyTorch 2 goes through
// when steps 4, 7 and 8 have gradients that are not finite.
TEST(StepScalars, TheScaleMovesAsGradScalersDoes) {
  const std::vector<int> overflows = {0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<float> expected = {8, 8, 16, 8, 8, 8, 4, 2, 2, 2, 4, 4, 4, 8, 8};
  for (const float bad : {kInfinity, kNan}) {
    StepScalars s = guarded(8.0f, 3);
    for (std::size_t i = 0; i < overflows.size(); ++i) {
      s.update = i + 1;
      s.grad_norm = overflows[i] != 0 ? bad : 1.0f;
      finish_update(s);
      EXPECT_EQ(s.loss_scale, expected[i]) << "step " << i + 1;
    }
    EXPECT_EQ(s.good_updates, 1u);
    EXPECT_EQ(s.skipped, 3u);
    s.update = overflows.size() + 1;
    EXPECT_EQ(update_number(s), 13u);
  }
}

TEST(StepScalars, TheScaleStaysFinite) {
  StepScalars s = guarded(std::ldexp(1.0f, 127), 1);
  s.grad_norm = 1.0f;
  finish_update(s);
  EXPECT_EQ(s.loss_scale, std::ldexp(1.0f, 127));
  EXPECT_EQ(s.good_updates, 0u);
}

TEST(StepScalars, AStaticScaleSkipsButStays) {
  StepScalars s = guarded(512.0f, 0);
  s.scale_growth = s.scale_backoff = 1.0f;
  for (const float norm : {1.0f, kInfinity, 1.0f, 1.0f}) {
    s.grad_norm = norm;
    finish_update(s);
  }
  EXPECT_EQ(s.loss_scale, 512.0f);
  EXPECT_EQ(s.skipped, 1u);
}

TEST(StepScalars, UnguardedUpdatesAreAlwaysMade) {
  StepScalars s;
  s.grad_norm = kNan;
  EXPECT_FALSE(skips_update(s));
  finish_update(s);
  EXPECT_EQ(s.skipped, 0u);
  EXPECT_EQ(s.loss_scale, 1.0f);
}

TEST(StepScalars, GradientsAreUnscaledBeforeTheyAreClipped) {
  StepScalars s;
  s.loss_scale = 1024.0f;
  s.grad_scale = 0.25f;
  s.clip_norm = 1.0f;
  s.grad_norm = gradient_norm_of(s, 4096.0 * 2.0);
  EXPECT_FLOAT_EQ(s.grad_norm, 2.0f);
  EXPECT_NEAR(gradient_factor(s), 0.25 / 1024.0 / 2.0, 1e-9);
  s.grad_norm = kNan;
  EXPECT_TRUE(std::isnan(gradient_factor(s)));
}

TEST(StepScalars, TheHostsPartEndsWhereTheKernelsBegins) {
  StepScalars s;
  const auto* begin = reinterpret_cast<const char*>(&s);
  EXPECT_EQ(reinterpret_cast<const char*>(&s.loss_scale), begin + kHostScalarBytes);
  for (const void* kept :
       {static_cast<const void*>(&s.grad_norm), static_cast<const void*>(&s.good_updates),
        static_cast<const void*>(&s.skipped)}) {
    EXPECT_GE(static_cast<const char*>(kept), begin + kHostScalarBytes);
  }
}

}  // namespace
}  // namespace daybreak
