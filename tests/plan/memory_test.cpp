#include "plan/memory.h"

#include <gtest/gtest.h>

#include "core/philox.h"

namespace daybreak {
namespace {

// Random programs: every step writes a new tensor and reads some that exist.
Plan random_plan(std::uint64_t seed) {
  Draws draws(seed, Purpose::synthetic, 0, 0);
  Plan plan;
  const int steps = 5 + static_cast<int>(draws.below(60));
  for (int i = 0; i < steps; ++i) {
    PlanTensor tensor;
    tensor.desc.bytes = 1 + draws.below(5000);
    tensor.pinned = draws.below(10) == 0;
    plan.tensors.push_back(tensor);
    PlanStep step;
    step.y = i;
    for (std::uint32_t r = draws.below(3); r > 0 && i > 0; --r) {
      step.x.push_back(static_cast<TensorId>(draws.below(static_cast<std::uint32_t>(i))));
    }
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

TEST(Memory, NoTwoLiveTensorsOverlap) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Plan plan = random_plan(seed);
    compute_lifetimes(plan);
    place_tensors(plan);
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
      const PlanTensor& a = plan.tensors[i];
      ASSERT_EQ(a.offset % kArenaAlignment, 0u);
      ASSERT_LE(a.offset + a.desc.bytes, plan.memory.arena_bytes);
      for (std::size_t j = 0; j < i; ++j) {
        const PlanTensor& b = plan.tensors[j];
        const bool alive = a.first <= b.last && b.first <= a.last;
        const bool overlap =
            a.offset < b.offset + b.desc.bytes && b.offset < a.offset + a.desc.bytes;
        ASSERT_FALSE(alive && overlap) << "seed " << seed << " tensors " << i << " " << j;
      }
    }
  }
}

TEST(Memory, ReportsBoundsInOrder) {
  double ratio = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Plan plan = random_plan(seed);
    compute_lifetimes(plan);
    place_tensors(plan);
    EXPECT_LE(plan.memory.lower_bound, plan.memory.arena_bytes);
    EXPECT_LE(plan.memory.arena_bytes, plan.memory.naive_bytes);
    ratio += static_cast<double>(plan.memory.arena_bytes) / plan.memory.lower_bound / 100;
  }
  EXPECT_LT(ratio, 1.15) << "placement wastes memory";
}

TEST(Memory, PinnedTensorsLiveToTheEnd) {
  Plan plan = random_plan(7);
  plan.tensors[0].pinned = true;
  compute_lifetimes(plan);
  EXPECT_EQ(plan.tensors[0].last, static_cast<int>(plan.steps.size()) - 1);
}

TEST(Memory, AliasesShareOneLifetime) {
  Plan plan = random_plan(3);
  PlanTensor alias;
  alias.alias_of = 0;
  alias.desc.bytes = 1;
  plan.tensors.push_back(alias);
  PlanStep step;
  step.x = {static_cast<TensorId>(plan.tensors.size()) - 1};
  step.y = 1;
  plan.steps.push_back(step);
  compute_lifetimes(plan);
  EXPECT_EQ(plan.tensors[0].last, static_cast<int>(plan.steps.size()) - 1);
}

}  // namespace
}  // namespace daybreak
