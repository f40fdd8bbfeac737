#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/philox.h"

namespace daybreak {

/// Fisher-Yates (Durstenfeld 1964) by keyed draws: the order is a pure function of the key.
inline void shuffle(std::vector<std::uint32_t>& items, Draws draws) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[draws.below(static_cast<std::uint32_t>(i))]);
  }
}

/// Order of `count` samples in `epoch`: a permutation of (seed, epoch), or 0, 1, ... without
/// shuffling. Reuses the memory of `order`.
void epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch, bool shuffled,
                 std::vector<std::uint32_t>& order);

}  // namespace daybreak
