#include "detect/nms.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "detect/kept_grid.h"

// Candidates are ordered by a radix sort (stable, so ties keep their order), then walked class by
// class. A candidate is compared with the kept boxes near it, in float (detect/kept_grid.h); where
// float is within rounding of the threshold, the overlap is computed again in double, so that the
// answer is that of the definition.

namespace daybreak {
namespace {

using Order = std::vector<std::uint32_t>;
using Members = std::span<const std::uint32_t>;  // the candidates of one class, best first

// Larger scores get smaller keys, both zeros the same; not for NaN.
std::uint32_t descending_key(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);
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

// The definition: for boxes that float cannot tell about.
void keep_by_definition(const std::vector<Detection>& found, Members members,
                        const NmsOptions& options, std::vector<bool>& taken) {
  Order kept;
  for (const std::uint32_t i : members) {
    const bool suppressed = std::any_of(kept.begin(), kept.end(), [&](std::uint32_t better) {
      return overlap(found[better].box, found[i].box, options) > options.threshold;
    });
    if (suppressed) continue;
    kept.push_back(i);
    taken[i] = true;
  }
}

void keep_greedily(const std::vector<Detection>& found, Members members, const NmsOptions& options,
                   KeptGrid& grid, std::vector<bool>& taken) {
  Extents extents;
  for (const std::uint32_t i : members) extents.include(KeptGrid::corners_of(found[i].box));
  if (!grid.reset(extents, options.threshold)) {
    return keep_by_definition(found, members, options, taken);
  }
  for (const std::uint32_t i : members) {
    const Box& box = found[i].box;
    const auto decides = [&](std::uint32_t better) {
      return overlap(found[better].box, box, options) > options.threshold;
    };
    const Corners corners = KeptGrid::corners_of(box);
    if (grid.any_close(corners, options.kind == NmsKind::iou, decides)) continue;
    grid.add(corners, i);
    taken[i] = true;
  }
}

// The best of what is left is kept, the scores of the others fade, and so on.
void keep_softly(std::vector<Detection>& found, Members members, const NmsOptions& options,
                 std::vector<bool>& taken) {
  Order rest(members.begin(), members.end());
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

std::vector<Detection> suppress(std::vector<Detection> found, const NmsOptions& options) {
  std::erase_if(found, [](const Detection& d) { return std::isnan(d.score); });
  const Order by_score = order_by_score(found);
  std::vector<std::uint32_t> ends;
  const Order by_category = order_by_category(found, by_score, ends);
  std::vector<bool> taken(found.size(), false);
  const bool soft = options.kind == NmsKind::soft_linear || options.kind == NmsKind::soft_gaussian;
  KeptGrid grid;
  Members rest(by_category);
  for (const std::uint32_t end : ends) {
    const Members members = rest.first(end - (by_category.size() - rest.size()));
    rest = rest.subspan(members.size());
    if (members.empty()) continue;
    if (soft) {
      keep_softly(found, members, options, taken);
    } else {
      keep_greedily(found, members, options, grid, taken);
    }
  }
  std::vector<Detection> result;
  for (const std::uint32_t i : soft ? order_by_score(found) : by_score) {
    if (taken[i]) result.push_back(found[i]);
  }
  return result;
}

}  // namespace daybreak
