#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/planes.h"
#include "backend/cpu/simd.h"

namespace daybreak {

/// max(x, 0); NaN stays NaN.
DAYBREAK_INLINE float relu(float x) {
  return x < 0.0f ? 0.0f : x;
}

/// Sets the lanes beyond the last channel of a blocked tensor to zero, as its readers expect.
void zero_padding(const Planes& planes, DType dtype, std::byte* data);
inline void zero_padding(const Planes& planes, float* data) {
  zero_padding(planes, DType::f32, reinterpret_cast<std::byte*>(data));
}

}  // namespace daybreak
