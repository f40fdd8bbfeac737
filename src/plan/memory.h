#pragma once

#include "plan/plan.h"

namespace daybreak {

/// Alignment of every tensor in the arena, in bytes.
constexpr std::size_t kArenaAlignment = 256;

/// Fills in PlanTensor::first and last from the steps: an arena tensor lives from its first write
/// to its last use, over all its aliases; graph inputs live from the first step, pinned tensors to
/// the end.
void compute_lifetimes(Plan& plan);

/// Gives every arena tensor an offset so that no two that are alive at the same step overlap:
/// largest first, each into the smallest gap that holds it. Fills in Plan::memory.
void place_tensors(Plan& plan);

}  // namespace daybreak
