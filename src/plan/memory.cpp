#include "plan/memory.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace daybreak {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

void touch(Plan& plan, TensorId id, int step) {
  if (id == kNone) return;
  PlanTensor& tensor = plan.tensors[plan.root(id)];
  if (tensor.first < 0 || step < tensor.first) tensor.first = step;
  tensor.last = std::max(tensor.last, step);
}

bool alive_together(const PlanTensor& a, const PlanTensor& b) {
  return a.first <= b.last && b.first <= a.last;
}

std::size_t largest_live_sum(const Plan& plan, const std::vector<TensorId>& roots) {
  std::vector<std::int64_t> change(plan.steps.size() + 1, 0);
  for (TensorId id : roots) {
    const PlanTensor& tensor = plan.tensors[id];
    change[tensor.first] += static_cast<std::int64_t>(aligned(tensor.desc.bytes));
    change[tensor.last + 1] -= static_cast<std::int64_t>(aligned(tensor.desc.bytes));
  }
  std::int64_t sum = 0, largest = 0;
  for (std::int64_t delta : change) largest = std::max(largest, sum += delta);
  return static_cast<std::size_t>(largest);
}

// The smallest gap between the already placed tensors that are alive with `tensor`, or the end.
std::size_t find_offset(const Plan& plan, const std::vector<TensorId>& placed,
                        const PlanTensor& tensor) {
  const std::size_t bytes = aligned(tensor.desc.bytes);
  std::size_t end = 0, best = 0, best_gap = SIZE_MAX;
  for (TensorId id : placed) {  // sorted by offset
    const PlanTensor& other = plan.tensors[id];
    if (!alive_together(tensor, other)) continue;
    if (other.offset > end) {
      const std::size_t gap = other.offset - end;
      if (gap >= bytes && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
    }
    end = std::max(end, other.offset + aligned(other.desc.bytes));
  }
  return best_gap == SIZE_MAX ? end : best;
}

}  // namespace

TensorId Plan::root(TensorId id) const {
  while (tensors[id].alias_of != kNone) id = tensors[id].alias_of;
  return id;
}

void compute_lifetimes(Plan& plan) {
  const int steps = static_cast<int>(plan.steps.size());
  for (int i = 0; i < steps; ++i) {
    const PlanStep& step = plan.steps[i];
    for (const auto* list : {&step.x, &step.dx, &step.w, &step.dw}) {
      for (TensorId id : *list) touch(plan, id, i);
    }
    for (TensorId id : {step.y, step.dy, step.aux, step.workspace, step.statistics}) {
      touch(plan, id, i);
    }
  }
  for (std::size_t id = 0; id < plan.tensors.size(); ++id) {
    if (plan.tensors[id].pinned) touch(plan, static_cast<TensorId>(id), std::max(0, steps - 1));
  }
}

void place_tensors(Plan& plan) {
  std::vector<TensorId> roots;
  for (std::size_t id = 0; id < plan.tensors.size(); ++id) {
    const PlanTensor& tensor = plan.tensors[id];
    if (tensor.place == Place::arena && tensor.alias_of == kNone && tensor.first >= 0) {
      roots.push_back(static_cast<TensorId>(id));
    }
  }
  plan.memory = {};
  plan.memory.lower_bound = largest_live_sum(plan, roots);
  std::stable_sort(roots.begin(), roots.end(), [&](TensorId a, TensorId b) {
    return plan.tensors[a].desc.bytes > plan.tensors[b].desc.bytes;
  });
  std::vector<TensorId> placed;
  for (TensorId id : roots) {
    PlanTensor& tensor = plan.tensors[id];
    tensor.offset = find_offset(plan, placed, tensor);
    const auto where = std::upper_bound(
        placed.begin(), placed.end(), tensor.offset,
        [&](std::size_t offset, TensorId other) { return offset < plan.tensors[other].offset; });
    placed.insert(where, id);
    plan.memory.naive_bytes += aligned(tensor.desc.bytes);
    plan.memory.arena_bytes =
        std::max(plan.memory.arena_bytes, tensor.offset + aligned(tensor.desc.bytes));
  }
}

}  // namespace daybreak
