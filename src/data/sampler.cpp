#include "data/sampler.h"

#include <numeric>

namespace daybreak {

void epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch, bool shuffled,
                 std::vector<std::uint32_t>& order) {
  order.resize(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  if (shuffled) shuffle(order, Draws(seed, Purpose::shuffle, static_cast<std::uint64_t>(epoch), 0));
}

}  // namespace daybreak
