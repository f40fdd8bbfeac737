#pragma once

#include <cstdint>
#include <vector>

#include "config/specs.h"

namespace daybreak {

/// Positions (ascending) of the training and validation samples; together all, none twice.
struct Split {
  std::vector<std::uint32_t> train, val;
};

/// Stratified split: each class gives its share, chosen by draws keyed by (split.seed, class) only.
/// By fraction: round(fraction * n) samples in all; by folds: fold `fold` of `folds` equal parts,
/// which are disjoint over the folds.
Split make_split(const std::vector<std::int32_t>& labels, int classes, const SplitSpec& spec);

}  // namespace daybreak
