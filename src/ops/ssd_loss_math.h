#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>

#include "ops/box_overlap.h"
#include "ops/ssd_loss.h"

// The terms of SsdLoss at one anchor, and the choice of hard negatives, for kernels of the CPU and
// of CUDA. All in double; tensors are f32.

namespace daybreak {

/// Cross-entropy of `count` scores, `stride` apart, with `label`; writes `scale` times its gradient
/// unless g is null.
DAYBREAK_DEVICE inline double ssd_class_loss(const float* z, std::int64_t stride, int count,
                                             int label, double scale, float* g) {
  double most = z[0], sum = 0.0;
  for (int c = 1; c < count; ++c) most = larger<double>(most, z[c * stride]);
  for (int c = 0; c < count; ++c) sum += std::exp(z[c * stride] - most);
  for (int c = 0; g && c < count; ++c) {
    const double p = std::exp(z[c * stride] - most) / sum;
    g[c * stride] = static_cast<float>(scale * (p - (c == label ? 1.0 : 0.0)));
  }
  return most + std::log(sum) - z[label * stride];
}

/// Smooth L1 of the four offsets at x that make `place` the truth, its gradient as above.
DAYBREAK_DEVICE inline double ssd_box_loss(const SsdPlace& place, const float* x,
                                           const BoxT<double>& truth, double scale, float* g) {
  const double target[4] = {(truth.x - place.cx) / place.w / kSsdCentreVariance,
                            (truth.y - place.cy) / place.h / kSsdCentreVariance,
                            std::log(truth.w / place.w) / kSsdSizeVariance,
                            std::log(truth.h / place.h) / kSsdSizeVariance};
  double sum = 0.0;
  for (int k = 0; k < 4; ++k) {
    const double off = x[k * place.stride] - target[k];
    const double size = off < 0.0 ? -off : off;
    sum += size < 1.0 ? 0.5 * off * off : size - 0.5;
    if (!g) continue;
    const double slope = size < 1.0 ? off : (off > 0.0 ? 1.0 : -1.0);
    g[k * place.stride] = static_cast<float>(scale * slope);
  }
  return sum;
}

/// A row of true boxes (category, cx, cy, w, h) that is one.
DAYBREAK_DEVICE inline bool ssd_is_used(const float* row) {
  return row[0] >= 0.0f && row[3] > 0.0f && row[4] > 0.0f;
}
DAYBREAK_DEVICE inline BoxT<double> ssd_box(const float* row) {
  return {row[1], row[2], row[3], row[4]};
}

/// The truth that each anchor learns, -1 for the background, in `match` [places]; `forced` and
/// `best` [truths] are scratch: the best anchor of a truth and its overlap. On the host.
inline void ssd_match(std::span<const SsdPlace> places, const float* rows, int truths,
                      double match_iou, std::int32_t* match, std::int32_t* forced, double* best) {
  std::fill(best, best + truths, -1.0);
  std::fill(forced, forced + truths, -1);
  for (std::size_t p = 0; p < places.size(); ++p) {
    const BoxT<double> prior{places[p].cx, places[p].cy, places[p].w, places[p].h};
    double most = -1.0;
    match[p] = -1;
    for (int m = 0; m < truths; ++m) {
      if (!ssd_is_used(rows + 5 * m)) continue;
      const double overlap = iou_of(prior, ssd_box(rows + 5 * m));
      if (overlap > best[m]) {
        best[m] = overlap;
        forced[m] = static_cast<std::int32_t>(p);
      }
      if (!(overlap > most)) continue;
      most = overlap;
      if (overlap >= match_iou) match[p] = m;
    }
  }
  for (int m = 0; m < truths; ++m) {
    if (ssd_is_used(rows + 5 * m) && forced[m] >= 0) match[forced[m]] = m;
  }
}

/// A number of 64 bits that orders as `value` does; -0 counts as 0. Never 0 itself but for one
/// kind of NaN.
DAYBREAK_DEVICE inline std::uint64_t ssd_order_key(double value) {
  const double number = value == 0.0 ? 0.0 : value;
  std::uint64_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  const std::uint64_t sign = std::uint64_t{1} << 63;
  return (bits & sign) != 0 ? ~bits : bits | sign;
}

/// The `wanted` largest of many keys, at equal keys those of lower index first: keys above `above`,
/// and those equal to it with an index below `ties_end`.
struct SsdSelection {
  std::uint64_t above = 0;
  std::int64_t ties_end = 0;

  DAYBREAK_DEVICE bool has(std::uint64_t key, std::int64_t index) const {
    return key > above || (key == above && index < ties_end);
  }
};

/// Finds it by halving, first the key, then the index. `count(at_least, below)` says how many keys
/// are >= at_least (all of 64 bits), of those equal to it only those with an index < below. There
/// are at least `wanted` >= 1 keys and indices are below `indices`. A block calls it with all its
/// threads.
template <class Count>
DAYBREAK_DEVICE inline SsdSelection ssd_select(std::int64_t wanted, std::int64_t indices,
                                               Count count) {
  SsdSelection found;
  for (int bit = 63; bit >= 0; --bit) {
    const std::uint64_t tried = found.above | std::uint64_t{1} << bit;
    if (count(tried, indices) >= wanted) found.above = tried;
  }
  std::int64_t too_few = 0, enough = indices;
  while (enough - too_few > 1) {
    const std::int64_t middle = too_few + (enough - too_few) / 2;
    (count(found.above, middle) >= wanted ? enough : too_few) = middle;
  }
  found.ties_end = enough;
  return found;
}

}  // namespace daybreak
