#include "detect/nms.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "core/multiarch.h"

// Candidates are ordered by a radix sort (stable, so ties keep their order), then walked class by
// class: each is compared with the boxes kept so far, 16 at a time in float. Where float is within
// rounding of the threshold, the overlap is computed again in double, so that the answer is that of
// the definition.

namespace daybreak {
namespace {

using Order = std::vector<std::uint32_t>;

// Larger scores get smaller keys; total over all floats that are not NaN.
std::uint32_t descending_key(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  const std::uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

// Stable, three passes of 11 bits.
Order order_by_score(const std::vector<Detection>& found) {
  constexpr int kBits = 11;
  constexpr std::uint32_t kBuckets = 1u << kBits;
  const auto count = static_cast<std::uint32_t>(found.size());
  std::vector<std::uint32_t> keys(count);
  for (std::uint32_t i = 0; i < count; ++i) keys[i] = descending_key(found[i].score);
  Order order(count), next(count);
  std::iota(order.begin(), order.end(), 0u);
  for (int pass = 0; pass < 3; ++pass) {
    std::array<std::uint32_t, kBuckets> starts{};
    const int shift = pass * kBits;
    for (const std::uint32_t key : keys) ++starts[(key >> shift) & (kBuckets - 1)];
    std::uint32_t sum = 0;
    for (std::uint32_t& start : starts) sum += std::exchange(start, sum);
    for (const std::uint32_t i : order) next[starts[(keys[i] >> shift) & (kBuckets - 1)]++] = i;
    order.swap(next);
  }
  return order;
}

// The same order cut by category: a stable counting sort. `ends[c]` is behind the last of class c.
Order order_by_category(const std::vector<Detection>& found, const Order& by_score,
                        std::vector<std::uint32_t>& ends) {
  int categories = 0;
  for (const Detection& d : found) categories = std::max(categories, d.category + 1);
  ends.assign(static_cast<std::size_t>(categories), 0);
  for (const Detection& d : found) ++ends[static_cast<std::size_t>(d.category)];
  std::uint32_t sum = 0;
  for (std::uint32_t& end : ends) sum += std::exchange(end, sum);
  Order result(by_score.size());
  for (const std::uint32_t i : by_score) {
    result[ends[static_cast<std::size_t>(found[i].category)]++] = i;
  }
  return result;
}

constexpr int kLanes = 16;

/// Boxes kept so far as corners, in arrays padded to whole groups of kLanes; unused places hold
/// boxes that overlap nothing.
struct KeptBoxes {
  std::vector<float> left, top, right, bottom, area;
  std::vector<std::uint32_t> index;

  void clear() {
    for (auto* array : {&left, &top, &right, &bottom, &area}) array->clear();
    index.clear();
  }
  void add(std::uint32_t i, const Box& box) {
    const std::size_t place = index.size();
    if (place == left.size()) {
      left.resize(place + kLanes, 1e30f), top.resize(place + kLanes, 1e30f);
      right.resize(place + kLanes, -1e30f), bottom.resize(place + kLanes, -1e30f);
      area.resize(place + kLanes, 1.0f);
    }
    left[place] = box.cx - box.w / 2, right[place] = box.cx + box.w / 2;
    top[place] = box.cy - box.h / 2, bottom[place] = box.cy + box.h / 2;
    area[place] = box.w * box.h;
    index.push_back(i);
  }
};

// The first group of kept boxes, from `group` on, in which one may overlap by more than `limit`;
// the number of groups when there is none. intersection > limit * union, without a division;
// `margins` are the differences of the two, for the group found.
DAYBREAK_MULTIARCH int find_group(const KeptBoxes& kept, const Box& box, float limit, int group,
                                  float* margins) {
  const float l = box.cx - box.w / 2, r = box.cx + box.w / 2;
  const float t = box.cy - box.h / 2, b = box.cy + box.h / 2;
  const float area = box.w * box.h;
  const int groups = static_cast<int>(kept.left.size()) / kLanes;
  for (; group < groups; ++group) {
    const std::size_t at = static_cast<std::size_t>(group) * kLanes;
    const float *kl = kept.left.data() + at, *kt = kept.top.data() + at;
    const float *kr = kept.right.data() + at, *kb = kept.bottom.data() + at;
    const float* ka = kept.area.data() + at;
    float most = -1.0f;
#pragma omp simd reduction(max : most)
    for (int i = 0; i < kLanes; ++i) {
      const float right = r < kr[i] ? r : kr[i], left = l > kl[i] ? l : kl[i];
      const float bottom = b < kb[i] ? b : kb[i], top = t > kt[i] ? t : kt[i];
      const float w = right - left > 0.0f ? right - left : 0.0f;
      const float h = bottom - top > 0.0f ? bottom - top : 0.0f;
      const float common = w * h;
      margins[i] = common - limit * (area + ka[i] - common);
      most = margins[i] > most ? margins[i] : most;
    }
    if (most > 0.0f) return group;
  }
  return groups;
}

double overlap(const Box& a, const Box& b, const NmsOptions& options) {
  switch (options.kind) {
    case NmsKind::greedy:
      return diou(a, b, 0.6);
    case NmsKind::diou:
      return diou(a, b, options.beta);
    default:
      return iou(a, b);
  }
}

bool is_suppressed(const std::vector<Detection>& found, const KeptBoxes& kept, const Box& box,
                   const NmsOptions& options) {
  // All kinds are at most the IoU, which float finds within a few roundings.
  const float limit = std::max(options.threshold - 1e-4f, 0.0f);
  const int groups = static_cast<int>(kept.left.size()) / kLanes;
  float margins[kLanes];
  for (int group = find_group(kept, box, limit, 0, margins); group < groups;
       group = find_group(kept, box, limit, group + 1, margins)) {
    const std::size_t begin = static_cast<std::size_t>(group) * kLanes;
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!(margins[lane] > 0.0f)) continue;
      const Box& better = found[kept.index[begin + static_cast<std::size_t>(lane)]].box;
      if (overlap(better, box, options) > options.threshold) return true;
    }
  }
  return false;
}

void keep_greedily(const std::vector<Detection>& found, const Order& order, std::uint32_t begin,
                   std::uint32_t end, const NmsOptions& options, KeptBoxes& kept,
                   std::vector<bool>& taken) {
  kept.clear();
  for (std::uint32_t at = begin; at < end; ++at) {
    const std::uint32_t i = order[at];
    if (is_suppressed(found, kept, found[i].box, options)) continue;
    kept.add(i, found[i].box);
    taken[i] = true;
  }
}

// The best of what is left is kept, the scores of the others fade, and so on.
void keep_softly(std::vector<Detection>& found, std::vector<std::uint32_t> rest,
                 const NmsOptions& options, std::vector<bool>& taken) {
  while (!rest.empty()) {
    const auto best = std::min_element(rest.begin(), rest.end(), [&](auto a, auto b) {
      return found[a].score > found[b].score || (found[a].score == found[b].score && a < b);
    });
    const std::uint32_t chosen = *best;
    rest.erase(best);
    if (!(found[chosen].score > options.min_score)) return;
    taken[chosen] = true;
    for (const std::uint32_t i : rest) {
      const double share = iou(found[chosen].box, found[i].box);
      double factor = 1.0;
      if (options.kind == NmsKind::soft_gaussian) {
        factor = std::exp(-share * share / options.sigma);
      } else if (share > options.threshold) {
        factor = 1.0 - share;
      }
      found[i].score = static_cast<float>(found[i].score * factor);
    }
  }
}

}  // namespace

std::vector<Detection> suppress(const std::vector<Detection>& found_in, const NmsOptions& options) {
  std::vector<Detection> found = found_in;
  const Order by_score = order_by_score(found);
  std::vector<std::uint32_t> ends;
  const Order by_category = order_by_category(found, by_score, ends);
  std::vector<bool> taken(found.size(), false);
  const bool soft = options.kind == NmsKind::soft_linear || options.kind == NmsKind::soft_gaussian;
  KeptBoxes kept;
  std::uint32_t begin = 0;
  for (const std::uint32_t end : ends) {
    if (soft && end > begin) {
      keep_softly(found, {by_category.begin() + begin, by_category.begin() + end}, options, taken);
    } else {
      keep_greedily(found, by_category, begin, end, options, kept, taken);
    }
    begin = end;
  }
  std::vector<Detection> result;
  for (const std::uint32_t i : soft ? order_by_score(found) : by_score) {
    if (taken[i]) result.push_back(found[i]);
  }
  return result;
}

}  // namespace daybreak
