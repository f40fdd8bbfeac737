#include "graph/normal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace daybreak {
namespace {

// Box and Muller with the C library's functions.
std::vector<double> expected(Draws draws, double std, std::int64_t count) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; i += 2) {
    const double u1 = (static_cast<double>(draws.bits()) + 1.0) / 4294967296.0;
    const double u2 = static_cast<double>(draws.bits()) / 4294967296.0;
    const double radius = std * std::sqrt(-2.0 * std::log(u1));
    values.push_back(radius * std::cos(2.0 * std::numbers::pi * u2));
    values.push_back(radius * std::sin(2.0 * std::numbers::pi * u2));
  }
  return values;
}

TEST(Normal, AgreesWithTheCLibraryToTheRoundingOfFloat) {
  for (const std::int64_t count : {1, 2, 3, 4, 5, 7, 4095, 4096}) {
    for (std::uint64_t stream = 0; stream < 50; ++stream) {
      const Draws draws(5, Purpose::init, 3, stream);
      std::vector<float> values(static_cast<std::size_t>(count) + 1, 99.0f);
      normal_numbers(draws, 0.5, values.data(), count);
      const std::vector<double> wanted = expected(draws, 0.5, count);
      for (std::int64_t i = 0; i < count; ++i) {
        ASSERT_NEAR(values[i], wanted[i], 1e-15 + std::abs(wanted[i]) * 6.1e-8) << i;
      }
      EXPECT_EQ(values[count], 99.0f) << "writes past the end";
    }
  }
}

}  // namespace
}  // namespace daybreak
