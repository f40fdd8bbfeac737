#include "graph/normal.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "core/error.h"

// A large network starts with tens of millions of these numbers, so the loops are written to
// vectorise: logarithm, sine and cosine are series in double precision, whose errors (below 1e-15)
// vanish when the result is rounded to float.

#if defined(DAYBREAK_NO_MULTIARCH) || !defined(__x86_64__)
#define DAYBREAK_NORMAL_CLONES __attribute__((noinline))
#else
#define DAYBREAK_NORMAL_CLONES \
  __attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

namespace daybreak {
namespace {

constexpr std::int64_t kMostPairs = kMostNormals / 2;

// ln(m / 2^32) for m in 1 .. 2^32. m = 2^e f with f in [sqrt 1/2, sqrt 2), then
// ln f = 2 (s + s^3 / 3 + ...) with s = (f - 1) / (f + 1), |s| < 0.172.
inline __attribute__((always_inline)) double log_fraction(double m) {
  constexpr std::uint64_t kMantissa = (std::uint64_t{1} << 52) - 1;
  constexpr std::uint64_t kRootHalf = 0x3FE6A09E667F3BCD;  // the bits of sqrt(1/2)
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(m);
  const std::uint64_t shifted = bits - kRootHalf;
  const double f = std::bit_cast<double>((shifted & kMantissa) + kRootHalf);
  // shifted >> 52 is the exponent, below 64; as a double by way of 2^52 + e.
  const double e =
      std::bit_cast<double>((shifted >> 52) | 0x4330000000000000) - 4503599627370496.0 - 32.0;
  const double s = (f - 1.0) / (f + 1.0), q = s * s;
  double p = 1.0 / 23.0;
  for (int k = 21; k >= 1; k -= 2) p = p * q + 1.0 / k;
  constexpr double kLn2High = 0x1.62e42fefa0000p-1, kLn2Low = 0x1.cf79abc9e3b3ap-40;
  return e * kLn2High + (2.0 * s * p + e * kLn2Low);
}

DAYBREAK_NORMAL_CLONES void radii(const std::uint32_t* bits, double std, double* out,
                                  std::int64_t pairs) {
  for (std::int64_t i = 0; i < pairs; ++i) {
    out[i] = std * std::sqrt(-2.0 * log_fraction(static_cast<double>(bits[i]) + 1.0));
  }
}

// cos and sin of 2 pi u / 2^32 times the radius. u is split exactly into quarter turns and a rest
// of at most an eighth, for which Taylor's series are enough.
DAYBREAK_NORMAL_CLONES void turn(const std::uint32_t* bits, const double* radius, float* out,
                                 std::int64_t pairs) {
  constexpr double kStep = 2.0 * std::numbers::pi / 4294967296.0;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::uint32_t quarter = (bits[i] + 0x20000000u) >> 30;
    const double x = kStep * static_cast<std::int32_t>(bits[i] - (quarter << 30)), q = x * x;
    double sine = 1.0, cosine = 1.0;
    for (int k = 16; k >= 2; k -= 2) {
      sine = 1.0 - sine * q / (k * (k + 1));
      cosine = 1.0 - cosine * q / ((k - 1) * k);
    }
    sine *= x;
    const bool swap = quarter & 1;
    const double c = swap ? sine : cosine, s = swap ? cosine : sine;
    const bool left = quarter == 1 || quarter == 2, lower = quarter >= 2;
    out[2 * i] = static_cast<float>(radius[i] * (left ? -c : c));
    out[2 * i + 1] = static_cast<float>(radius[i] * (lower ? -s : s));
  }
}

// Draws 2i and 2i + 1 of the stream are the pair i.
DAYBREAK_NORMAL_CLONES void split_draws(const Draws& draws, std::uint32_t* first,
                                        std::uint32_t* second, std::int64_t pairs) {
  for (std::int64_t i = 0; i < pairs; i += 2) {
    const PhiloxBlock block = draws.block_at(static_cast<std::uint64_t>(2 * i));
    first[i] = block.v[0];
    second[i] = block.v[1];
    first[i + 1] = block.v[2];
    second[i + 1] = block.v[3];
  }
}

}  // namespace

void normal_numbers(const Draws& draws, double std, float* out, std::int64_t count) {
  DAYBREAK_ASSERT(count <= kMostNormals);
  std::uint32_t first[kMostPairs], second[kMostPairs];
  double radius[kMostPairs];
  const std::int64_t pairs = count / 2;
  split_draws(draws, first, second, (count + 1) / 2);
  radii(first, std, radius, (count + 1) / 2);
  turn(second, radius, out, pairs);
  if (count % 2 != 0) {  // the last pair's second number is not wanted
    float last[2];
    turn(second + pairs, radius + pairs, last, 1);
    out[count - 1] = last[0];
  }
}

}  // namespace daybreak
