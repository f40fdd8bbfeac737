#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace daybreak {

/// Log of the sum of exponentials of `count` values that lie `stride` apart.
template <typename T>
double log_sum_exp(const T* x, std::int64_t count, std::int64_t stride) {
  double largest = x[0];
  for (std::int64_t i = 1; i < count; ++i) largest = std::max(largest, double{x[i * stride]});
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(double{x[i * stride]} - largest);
  return largest + std::log(sum);
}

}  // namespace daybreak
