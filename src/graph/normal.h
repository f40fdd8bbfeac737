#pragma once

#include <cstdint>

#include "core/philox.h"

namespace daybreak {

constexpr std::int64_t kMostNormals = 4096;

/// out[0 .. count) = N(0, std^2) from the first draws of a stream, two a pair (Box and Muller
/// 1958); 32 bits reach 6.6 sigma. `count` is at most kMostNormals.
void normal_numbers(const Draws& draws, double std, float* out, std::int64_t count);

}  // namespace daybreak
