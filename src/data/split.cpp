#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/philox.h"
#include "data/formats.h"
#include "data/sampler.h"

namespace daybreak {
namespace {

using Members = std::vector<std::vector<std::uint32_t>>;  // positions of each class

Members members_of(const std::vector<std::int32_t>& labels, int classes) {
  Members members(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    members[static_cast<std::size_t>(labels[i])].push_back(static_cast<std::uint32_t>(i));
  }
  return members;
}

// How many of each class go to validation: rounded down, the classes with the largest remainders
// get one more until the total is right.
std::vector<std::size_t> shares(const Members& members, std::size_t all, double fraction) {
  std::vector<std::size_t> counts;
  std::vector<double> remainders;
  std::size_t total = 0;
  for (const auto& positions : members) {
    const double exact = fraction * static_cast<double>(positions.size());
    counts.push_back(std::min(positions.size(), static_cast<std::size_t>(exact)));
    remainders.push_back(exact - static_cast<double>(counts.back()));
    total += counts.back();
  }
  const auto wanted = static_cast<std::size_t>(std::llround(fraction * static_cast<double>(all)));
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; i < order.size() && total < wanted; ++i) {
    if (counts[order[i]] >= members[order[i]].size()) continue;
    ++counts[order[i]];
    ++total;
  }
  return counts;
}

}  // namespace

Split make_split(const std::vector<std::int32_t>& labels, int classes, const SplitSpec& spec) {
  Members members = members_of(labels, classes);
  std::vector<bool> in_val(labels.size());
  std::vector<std::size_t> counts;
  if (spec.folds == 0) counts = shares(members, labels.size(), spec.fraction);
  std::size_t turn = 0;  // runs on over the classes, so that folds differ by one sample at most
  for (std::size_t label = 0; label < members.size(); ++label) {
    std::vector<std::uint32_t>& positions = members[label];
    shuffle(positions, Draws(spec.seed, Purpose::split, label, 0));
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const bool val = spec.folds > 0 ? turn++ % static_cast<std::size_t>(spec.folds) ==
                                            static_cast<std::size_t>(spec.fold)
                                      : i < counts[label];
      if (val) in_val[positions[i]] = true;
    }
  }
  Split split;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    (in_val[i] ? split.val : split.train).push_back(static_cast<std::uint32_t>(i));
  }
  return split;
}

std::vector<std::uint32_t> balanced_limit(const std::vector<std::int32_t>& labels, int classes,
                                          std::int64_t limit) {
  std::vector<std::uint32_t> chosen;
  if (limit <= 0 || limit >= static_cast<std::int64_t>(labels.size())) {
    chosen.resize(labels.size());
    std::iota(chosen.begin(), chosen.end(), 0u);
    return chosen;
  }
  const Members members = members_of(labels, classes);
  const auto wanted = static_cast<std::size_t>(limit);
  for (std::size_t round = 0; chosen.size() < wanted; ++round) {
    for (std::size_t label = 0; label < members.size() && chosen.size() < wanted; ++label) {
      if (round < members[label].size()) chosen.push_back(members[label][round]);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace daybreak
