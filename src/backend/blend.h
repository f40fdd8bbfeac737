#pragma once

#include "core/philox.h"

namespace daybreak {

/// average + share * (value - average), from whichever end is nearer (PyTorch's lerp): exact where
/// both are equal, so that frozen parameters stay what they are, and for shares of 0 and 1.
template <typename T>
DAYBREAK_HOST_DEVICE inline T blended(T average, T value, T share) {
  const T way = value - average;
  return share < T(0.5) ? average + share * way : value - (T(1) - share) * way;
}

}  // namespace daybreak
