#pragma once

#include <bit>
#include <cstdint>

#include "backend/cpu/simd.h"
#include "core/shape.h"

namespace daybreak {

/// A bfloat16 in memory, the upper half of a float. Kernels compute in float and only load and
/// store it, in plain code that compilers turn into shifts of whole vectors on any processor.
struct Bf16 {
  std::uint16_t bits;
};

DAYBREAK_INLINE float to_float(float x) {
  return x;
}
DAYBREAK_INLINE float to_float(Bf16 x) {
  return std::bit_cast<float>(std::uint32_t{x.bits} << 16);
}

DAYBREAK_INLINE void put(float& to, float x) {
  to = x;
}
/// Rounds to nearest, ties to even; NaN stays NaN.
DAYBREAK_INLINE void put(Bf16& to, float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;
  to.bits = static_cast<std::uint16_t>(x == x ? rounded : quiet);
}

/// Calls body(float{}) or body(Bf16{}); for the body of a cloned range function, so `body` must be
/// always inlined (DAYBREAK_INLINE_LAMBDA).
template <typename Body>
DAYBREAK_INLINE void with_storage(DType dtype, Body&& body) {
  if (dtype == DType::bf16) {
    body(Bf16{});
  } else {
    body(float{});
  }
}
#define DAYBREAK_INLINE_LAMBDA __attribute__((always_inline))

}  // namespace daybreak
