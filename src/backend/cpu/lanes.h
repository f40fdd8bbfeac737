#pragma once

#include <cstdint>
#include <type_traits>

#include "backend/cpu/bf16.h"
#include "backend/cpu/planes.h"
#include "backend/cpu/simd.h"

namespace daybreak {

/// The number of lanes of a pixel as a type: W, or known at run time only when W is 0.
template <int W>
struct Lanes {
  static constexpr int kMost = W > 0 ? W : 16;
  int at_run_time;
  DAYBREAK_INLINE int count() const { return W > 0 ? W : at_run_time; }
};

/// Calls body(Lanes<W>{}) for a plane of up to 16 lanes; `body` must be always_inline so that it is
/// compiled for the instruction set of the range function it is in.
template <typename Body>
DAYBREAK_INLINE void with_lanes(int lanes, Body&& body) {
  if (lanes == 16) {
    body(Lanes<16>{16});
  } else if (lanes == 8) {
    body(Lanes<8>{8});
  } else if (lanes == 1) {
    body(Lanes<1>{1});
  } else {
    body(Lanes<0>{lanes});
  }
}

template <int W, typename T>
DAYBREAK_INLINE void fill_lanes(Lanes<W> lanes, T* to, float value) {
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) put(to[l], value);
}

template <int W, typename From, typename To>
DAYBREAK_INLINE void copy_lanes(Lanes<W> lanes, const From* from, To* to) {
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) put(to[l], to_float(from[l]));
}

/// to += factor * from
template <int W, typename From, typename To>
DAYBREAK_INLINE void add_lanes(Lanes<W> lanes, float factor, const From* from, To* to) {
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) {
    put(to[l], to_float(to[l]) + factor * to_float(from[l]));
  }
}

/// Zeroes all pixels of a plane.
template <int W, typename T>
DAYBREAK_INLINE void clear_plane(Lanes<W> lanes, const Planes& p, T* plane) {
  for (std::int64_t q = 0; q < p.pixels; ++q) fill_lanes(lanes, plane + q * p.pixel_stride, 0.0f);
}

/// Planes from which work is shared over the team.
inline std::int64_t plane_grain(const Planes& a, const Planes& b) {
  const std::int64_t pixels = a.pixels > b.pixels ? a.pixels : b.pixels;
  const std::int64_t grain = 16384 / (pixels * a.lanes);
  return grain > 0 ? grain : 1;
}

}  // namespace daybreak
