#include "core/philox.h"

#include <gtest/gtest.h>

#include <cmath>

namespace daybreak {
namespace {

// Known answers published with the Random123 library (kat_vectors, philox4x32 10 rounds).
TEST(Philox, KnownAnswers) {
  const PhiloxBlock zero = philox(0, 0, 0, 0, 0, 0);
  EXPECT_EQ(zero.v[0], 0x6627e8d5u);
  EXPECT_EQ(zero.v[1], 0xe169c58du);
  EXPECT_EQ(zero.v[2], 0xbc57ac4cu);
  EXPECT_EQ(zero.v[3], 0x9b00dbd8u);
  const PhiloxBlock ones = philox(~0u, ~0u, ~0u, ~0u, ~0u, ~0u);
  EXPECT_EQ(ones.v[0], 0x408f276du);
  EXPECT_EQ(ones.v[1], 0x41c83b0eu);
  EXPECT_EQ(ones.v[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.v[3], 0x6d5451fdu);
  const PhiloxBlock pi =
      philox(0xa4093822u, 0x299f31d0u, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
  EXPECT_EQ(pi.v[0], 0xd16cfe09u);
  EXPECT_EQ(pi.v[1], 0x94fdccebu);
  EXPECT_EQ(pi.v[2], 0x5001e420u);
  EXPECT_EQ(pi.v[3], 0x24126ea1u);
}

TEST(Draws, SameKeySameNumbersOtherKeyOthers) {
  Draws a(7, Purpose::augment, 3, 11), b(7, Purpose::augment, 3, 11), c(7, Purpose::augment, 3, 12);
  int equal = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t bits = a.bits();
    EXPECT_EQ(bits, b.bits());
    equal += bits == c.bits();
  }
  EXPECT_LT(equal, 3);
}

TEST(Draws, UniformHasTheRightMeanAndBounds) {
  Draws draws(1, Purpose::synthetic, 0, 0);
  double sum = 0, squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const float u = draws.uniform();
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    sum += u;
    squares += double{u} * u;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);
  EXPECT_NEAR(squares / n, 1.0 / 3.0, 0.005);
}

}  // namespace
}  // namespace daybreak
