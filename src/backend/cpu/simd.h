#pragma once

#include <bit>
#include <cstdint>

#include "core/multiarch.h"

#define DAYBREAK_INLINE inline __attribute__((always_inline))

namespace daybreak {

/// exp(x) for x <= 0 within 2 ulp, 0 below -87.3 (no denormals); NaN stays NaN. Argument reduction
/// x = n ln 2 + r and a minimax polynomial of degree 7 for exp(r) (the coefficients of Cephes).
DAYBREAK_INLINE float exp_negative(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + kMagic;
  const float n = shifted - kMagic;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r * r + r) + 1.0f;
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - 0x4B400000u + 127u;
  const float value = p * std::bit_cast<float>(exponent << 23);
  return x < -87.3f ? 0.0f : value;
}

DAYBREAK_INLINE float sigmoid(float x) {
  const float e = exp_negative(x < 0.0f ? x : -x);
  const float r = 1.0f / (1.0f + e);
  return x < 0.0f ? e * r : r;
}

/// tanh within 3 ulp: an odd polynomial (Cephes) below 0.625, exponentials above.
DAYBREAK_INLINE float tanh_f32(float x) {
  const float a = x < 0.0f ? -x : x;
  const float e = exp_negative(-2.0f * a);
  const float large = (1.0f - e) / (1.0f + e);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  return a < 0.625f ? small : (x < 0.0f ? -large : large);
}

}  // namespace daybreak
