#pragma once

#include <cstdint>

#include "backend/cpu/planes.h"
#include "backend/cpu/simd.h"
#include "ops/act_kind.h"

namespace daybreak {

/// max(x, 0); NaN stays NaN.
DAYBREAK_INLINE float relu(float x) {
  return x < 0.0f ? 0.0f : x;
}

/// Applies an activation to `count` numbers in place, on the team.
void activate(const Activation& act, float* y, std::int64_t count);

/// Sets the lanes beyond the last channel of a blocked tensor to zero, as its readers expect.
void zero_padding(const Planes& planes, float* data);

}  // namespace daybreak
