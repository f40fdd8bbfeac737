#pragma once

#include <cstdint>

#include "core/shape.h"

namespace daybreak {

/// Calls body(i) for every element of channel c of a plain tensor.
template <typename Body>
void for_each_of_channel(const Shape& s, std::int64_t c, Body&& body) {
  for (std::int64_t n = 0; n < s.n; ++n) {
    const std::int64_t begin = (n * s.c + c) * s.spatial();
    for (std::int64_t i = begin; i < begin + s.spatial(); ++i) body(i);
  }
}

struct Moments {
  double mean, var;  ///< var divided by the number of elements
};

template <typename T>
Moments channel_moments(const Shape& s, std::int64_t c, const T* x) {
  const double count = static_cast<double>(s.n) * s.spatial();
  double sum = 0.0, squares = 0.0;
  for_each_of_channel(s, c, [&](auto i) { sum += x[i]; });
  const double mean = sum / count;
  for_each_of_channel(s, c, [&](auto i) { squares += (x[i] - mean) * (x[i] - mean); });
  return {mean, squares / count};
}

/// Statistics of a tensor as ops hand them on: [2][C], means and variances.
template <typename T>
void write_statistics(const Shape& s, const T* x, T* statistics) {
  for (int c = 0; c < s.c; ++c) {
    const Moments moments = channel_moments(s, c, x);
    statistics[c] = static_cast<T>(moments.mean);
    statistics[s.c + c] = static_cast<T>(moments.var);
  }
}

}  // namespace daybreak
