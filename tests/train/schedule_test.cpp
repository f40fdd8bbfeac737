// Borders, keys that are kept, positions in the data, and refusals.
#include "train/schedule.h"

#include <gmock/gmock.h>

#include "core/philox.h"
#include "support/temp_folder.h"
#include "train/schedule_vectors.h"

namespace daybreak {
namespace {

using namespace test;  // NOLINT: the helpers of this test
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Schedule, BordersRoundUp) {
  const Schedule schedule = schedule_of({phase(epochs(1.5), {.1, 1}, {.9, .9}, Curve::linear),
                                         phase(epochs(3), {1, .1}, {.9, .9}, Curve::linear)},
                                        7);
  EXPECT_EQ(schedule.phases()[0].end_step, 11);
  EXPECT_EQ(schedule.total_steps(), 21);
  EXPECT_EQ(schedule.at(0).lr, 0.1) << "exactly the start value";
  EXPECT_EQ(schedule.at(11).lr, 1.0) << "exactly the start value";
  EXPECT_EQ(schedule.at(10).phase, 0);
  EXPECT_EQ(schedule.at(11).phase, 1);
  EXPECT_DOUBLE_EQ(schedule.at(10).lr, .1 + .9 * 10 / 10.5);
}

TEST(Schedule, ThirdsOfEpochsDoNotDrift) {
  std::vector<PhaseSpec> phases;
  for (int i = 1; i <= 90; ++i)
    phases.push_back(phase(epochs(i / 3.0), {1, 0}, {.9, .9}, Curve::linear));
  const Schedule schedule = schedule_of(phases, 300);
  for (int i = 0; i < 90; ++i) EXPECT_EQ(schedule.phases()[i].end_step, 100 * (i + 1));
}

TEST(Schedule, EveryPhaseHasAStep) {
  const Schedule schedule = schedule_of({phase(epochs(.001), {1, 0}, {.9, .9}, Curve::linear),
                                         phase(epochs(.002), {2, 0}, {.9, .9}, Curve::cosine),
                                         phase(epochs(.003), {3, 0}, {.9, .9}, Curve::linear),
                                         phase(epochs(1), {4, 0}, {.9, .9}, Curve::linear)},
                                        10);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(schedule.at(i).lr, i + 1.0);
  EXPECT_EQ(schedule.total_steps(), 10);
}

TEST(Schedule, UnitsMix) {
  const Schedule schedule = schedule_of({phase(steps(25), {1, 1}, {.9, .9}, Curve::linear),
                                         phase(epochs(4), {1, 1}, {.9, .9}, Curve::linear),
                                         phase(steps(41), {1, 1}, {.9, .9}, Curve::linear)},
                                        10);
  EXPECT_EQ(schedule.phases()[0].end_step, 25);
  EXPECT_EQ(schedule.phases()[1].end_step, 40);
  EXPECT_EQ(schedule.phases()[2].end_step, 41);
  EXPECT_DOUBLE_EQ(schedule.phases()[0].epochs, 2.5);
  EXPECT_DOUBLE_EQ(schedule.phases()[1].epochs, 1.5);
}

TEST(Schedule, KeysNotGivenKeepTheirLastValue) {
  std::vector<PhaseSpec> phases(4);
  phases[0] = phase(epochs(1), {.1, .5}, {.9, .8}, Curve::cosine);
  phases[0].batch = 2;
  phases[0].image = 16;
  phases[0].freeze = std::vector<std::string>{"backbone.*"};
  phases[1].until = epochs(2);  // nothing but its length
  phases[2].until = epochs(3);
  phases[2].lr = Ramp{.5, .25};  // along the cosine of the first phase
  phases[2].freeze = std::vector<std::string>{};
  phases[2].optimizer = OptimizerSpec{.type = OptimizerType::adam};
  phases[3].until = epochs(4);
  phases[3].lr = Ramp{.3, .1};
  phases[3].curve = Curve::constant;  // of a pair: its start
  phases[3].optimizer = OptimizerSpec{.type = OptimizerType::adam, .weight_decay = .1};
  const Schedule schedule = schedule_of(phases, 20);
  const auto& plan = schedule.phases();
  EXPECT_EQ(schedule.at(10).lr, .5) << "where the phase before ended";
  EXPECT_EQ(schedule.at(19).momentum, .8);
  EXPECT_NEAR(schedule.at(25).lr, .375, 1e-12) << "the curve is kept";
  EXPECT_EQ(schedule.at(39).lr, .3);
  EXPECT_EQ(schedule.at(39).momentum, .8);
  EXPECT_THAT(plan[1].freeze, ElementsAre("backbone.*"));
  EXPECT_TRUE(plan[2].freeze.empty());
  EXPECT_EQ(plan[3].image, 16);
  EXPECT_EQ(plan[3].batch, 2);
  EXPECT_FALSE(plan[0].new_optimizer_type);
  EXPECT_TRUE(plan[2].new_optimizer_type);
  EXPECT_FALSE(plan[3].new_optimizer_type) << "the same type keeps its state";
  EXPECT_EQ(plan[3].optimizer.weight_decay, .1);
}

TEST(Schedule, WhatTheSolverFreezesStaysUntilAPhaseSaysOtherwise) {
  SolverSpec spec;
  spec.freeze = {"stem"};
  spec.phases = {phase(epochs(1), {.1, .5}, {.9, .9}, Curve::linear),
                 phase(epochs(2), {.5, 0}, {.9, .9}, Curve::linear)};
  spec.phases[1].freeze = std::vector<std::string>{"g1"};
  const Schedule by_phases(spec, 1000);
  EXPECT_THAT(by_phases.phases()[0].freeze, ElementsAre("stem"));
  EXPECT_THAT(by_phases.phases()[1].freeze, ElementsAre("g1"));
  spec.policy.kind = PolicyKind::exponential;
  spec.policy.length = epochs(1);
  EXPECT_THAT(Schedule(spec, 1000).phases()[0].freeze, ElementsAre("stem"));
}

TEST(Schedule, MomentumFollowsItsOwnCurve) {
  PhaseSpec both = phase(epochs(1), {1, 0}, {.9, .5}, Curve::linear);
  both.momentum_curve = Curve::constant;
  EXPECT_EQ(schedule_of({both}, 10).at(5).momentum, .9);
  PhaseSpec single = phase(epochs(1), {1, 0}, {.9, .5}, Curve::linear);
  single.momentum = Ramp{.7, std::nullopt};
  EXPECT_EQ(schedule_of({single}, 10).at(5).momentum, .7) << "a single value is constant";
}

TEST(Schedule, EpochsAndPositions) {
  SolverSpec spec = solver_of({phase(epochs(3), {1, 0}, {.9, .9}, Curve::linear)});
  spec.batch = 32;
  const Schedule drop(spec, 100);  // 3 batches, 4 samples unused
  EXPECT_EQ(drop.total_steps(), 9);
  EXPECT_EQ(drop.position(2), (Position{0, 64}));
  EXPECT_EQ(drop.position(3), (Position{1, 0}));
  EXPECT_EQ(drop.position(9), (Position{3, 0}));
  EXPECT_EQ(drop.epochs(), 3);
  EXPECT_EQ(drop.epoch_end_step(0), 3);
  EXPECT_EQ(drop.epoch_end_step(2), 9);
  EXPECT_EQ(drop.steps_in_epoch(1), 3);
  EXPECT_EQ(drop.steps_in_epoch(7), 0);
  EXPECT_EQ(drop.total_samples(), 288);
  spec.last_batch = LastBatch::keep;
  const Schedule keep(spec, 100);  // 4 batches, the last of 4 samples
  EXPECT_EQ(keep.total_steps(), 12);
  EXPECT_EQ(keep.position(3), (Position{0, 96}));
  EXPECT_EQ(keep.position(4), (Position{1, 0}));
  EXPECT_EQ(keep.samples_before(3), 96);
  EXPECT_EQ(keep.samples_before(4), 100);
  EXPECT_EQ(keep.total_samples(), 300);
}

TEST(Schedule, AnotherBatchGoesOnWhereTheDataStopped) {
  std::vector<PhaseSpec> phases = {phase(steps(2), {1, 1}, {.9, .9}, Curve::linear),
                                   phase(steps(5), {1, 1}, {.9, .9}, Curve::linear),
                                   phase(steps(9), {1, 1}, {.9, .9}, Curve::linear)};
  SolverSpec spec = solver_of(phases);
  spec.batch = 20;
  spec.phases[1].batch = 25;
  spec.phases[2].batch = 50;
  const Schedule schedule(spec, 100);
  // 20 20 | 25 25 (10 left: next epoch) 25 | 50 (25 left) 50 50, 50
  EXPECT_EQ(schedule.position(2), (Position{0, 40}));
  EXPECT_EQ(schedule.position(3), (Position{0, 65}));
  EXPECT_EQ(schedule.position(4), (Position{1, 0}));
  EXPECT_EQ(schedule.position(5), (Position{1, 25}));
  EXPECT_EQ(schedule.position(6), (Position{2, 0}));
  EXPECT_EQ(schedule.position(8), (Position{3, 0}));
  EXPECT_EQ(schedule.samples_before(9), 40 + 75 + 200);
}

TEST(Schedule, ALargerBatchThatDoesNotFitTheRestBeginsAnEpoch) {
  SolverSpec spec = solver_of({phase(steps(3), {1, 1}, {.9, .9}, Curve::linear),
                               phase(steps(5), {1, 1}, {.9, .9}, Curve::linear)});
  spec.batch = 20;
  spec.phases[1].batch = 50;
  const Schedule schedule(spec, 100);
  EXPECT_EQ(schedule.position(2), (Position{0, 40}));
  EXPECT_EQ(schedule.position(3), (Position{1, 0}));
  EXPECT_EQ(schedule.epoch_end_step(0), 3);
  EXPECT_EQ(schedule.position(4), (Position{1, 50}));
}

TEST(Schedule, AccumulatedStepsMayStraddleEpochs) {
  SolverSpec spec = solver_of({phase(epochs(2), {1, 0}, {.9, .9}, Curve::linear)});
  spec.batch = 10;
  spec.accumulate = 2;
  const Schedule schedule(spec, 55);  // 5 micro-batches an epoch, 2.5 steps
  EXPECT_EQ(schedule.total_steps(), 5);
  EXPECT_EQ(schedule.position(1), (Position{0, 20}));
  EXPECT_EQ(schedule.position(2), (Position{0, 40}));
  EXPECT_EQ(schedule.position(3), (Position{1, 10}));
  EXPECT_EQ(schedule.position(5), (Position{2, 0}));
  EXPECT_EQ(schedule.steps_in_epoch(0), 3);
  EXPECT_EQ(schedule.steps_in_epoch(1), 2);
  EXPECT_EQ(schedule.total_samples(), 100);
}

// Walks random schedules micro-batch by micro-batch, as a loader does, and compares every position.
TEST(Schedule, PositionsEqualAWalkThroughTheData) {
  Draws draws(7, Purpose::synthetic, 0, 0);
  for (int trial = 0; trial < 200; ++trial) {
    SolverSpec spec = solver_of({});
    const auto samples = static_cast<std::int64_t>(20 + draws.below(100));
    spec.batch = static_cast<int>(1 + draws.below(20));
    spec.accumulate = static_cast<int>(1 + draws.below(3));
    spec.last_batch = draws.below(2) == 0 ? LastBatch::drop : LastBatch::keep;
    double until = 0;
    for (std::uint32_t p = 0; p < 1 + draws.below(4); ++p) {
      until += 1 + draws.below(60);
      spec.phases.push_back(phase(steps(until), {1, 0}, {.9, .9}, Curve::linear));
      if (draws.below(2) == 0) spec.phases.back().batch = static_cast<int>(1 + draws.below(20));
    }
    const Schedule schedule(spec, samples);
    Position at;
    std::int64_t used = 0, step = 0;
    for (const PhasePlan& plan : schedule.phases()) {
      const std::int64_t needed = spec.last_batch == LastBatch::keep ? 1 : plan.batch;
      if (samples - at.offset < needed) at = {at.epoch + 1, 0};
      for (; step < plan.end_step; ++step) {
        ASSERT_EQ(schedule.position(step), at) << "trial " << trial << ", step " << step;
        ASSERT_EQ(schedule.samples_before(step), used);
        ASSERT_LE(schedule.epoch_end_step(at.epoch - 1), step);
        ASSERT_GT(schedule.epoch_end_step(at.epoch), step);
        for (int part = 0; part < spec.accumulate; ++part) {
          const std::int64_t count = std::min<std::int64_t>(plan.batch, samples - at.offset);
          used += count;
          at.offset += count;
          if (samples - at.offset < needed) at = {at.epoch + 1, 0};
        }
      }
    }
    EXPECT_EQ(schedule.total_samples(), used);
  }
}

TEST(Schedule, PureInTheStep) {
  const Schedule schedule = schedule_of(phases_1cycle(3, .01, 10, 10, .95, .85), 782);
  std::vector<double> forward, backward;
  for (std::int64_t step = 0; step < 2346; ++step) forward.push_back(schedule.at(step).lr);
  for (std::int64_t step = 2346; step-- > 0;) backward.push_back(schedule.at(step).lr);
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
}

std::string refusal(const SolverSpec& spec, std::int64_t samples) {
  return message_of<ConfigError>([&] { Schedule(spec, samples); });
}

TEST(Schedule, Refusals) {
  const auto ramp = [](Length until, double start, double end, Curve curve) {
    return phase(until, {start, end}, {.9, .9}, curve);
  };
  SolverSpec none;
  none.mark = {"a.yaml", 3, 1};
  EXPECT_THAT(refusal(none, 1000), HasSubstr("a.yaml:3:1: error: the solver has no phases"));
  EXPECT_THAT(refusal(solver_of({ramp(epochs(2), 1, 0, Curve::linear),
                                 ramp(epochs(2), 1, 0, Curve::linear)}),
                      9),
              HasSubstr("\"until\" is 2e, but the phase before ends at 2e"));
  EXPECT_THAT(refusal(solver_of({ramp(epochs(0), 1, 0, Curve::linear)}), 9),
              HasSubstr("\"until\" is 0e"));
  EXPECT_THAT(refusal(solver_of({ramp(epochs(1e300), 1, 0, Curve::linear)}), 9),
              HasSubstr("steps, at most"));
  EXPECT_THAT(refusal(solver_of({ramp(epochs(1), 1, 0, Curve::exponential)}), 9),
              HasSubstr("\"lr\" goes from 1 to 0, but an exponential curve needs both above 0"));
  SolverSpec no_lr = solver_of({PhaseSpec{}});
  no_lr.phases[0].until = epochs(1);
  EXPECT_THAT(refusal(no_lr, 9), HasSubstr("the first phase must set \"lr\""));
  SolverSpec large = solver_of({ramp(epochs(1), 1, 0, Curve::linear)});
  large.batch = 128;
  EXPECT_THAT(refusal(large, 100),
              HasSubstr("\"batch\" is 128, but there are only 100 training samples"));
  large.last_batch = LastBatch::keep;
  EXPECT_EQ(Schedule(large, 100).total_steps(), 1);
  EXPECT_THAT(refusal(large, 0), HasSubstr("only 0 training samples"));
}

TEST(Schedule, Table) {
  SolverSpec spec = solver_of(phases_1cycle(30, 1.3, 20, 20, .95, .85));
  spec.batch = 256;
  spec.phases[1].image = 48;
  spec.phases[2].optimizer = OptimizerSpec{.type = OptimizerType::adamw};
  const std::vector<ScheduleRow> rows = Schedule(spec, 50000).table();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].lr, "0.065 -> 1.3, linear");
  EXPECT_EQ(rows[0].momentum, "0.95 -> 0.85, linear");
  EXPECT_EQ(rows[0].image, "");
  EXPECT_EQ(rows[0].optimizer, "sgd");
  EXPECT_EQ(rows[1].begin_step, 2340);
  EXPECT_EQ(rows[1].end_step, 4680);
  EXPECT_EQ(rows[1].image, "48");
  EXPECT_DOUBLE_EQ(rows[2].epochs, 6.0);
  EXPECT_EQ(rows[2].momentum, "0.95");
  EXPECT_EQ(rows[2].optimizer, "adamw");
  EXPECT_EQ(rows[2].batch, 256);
}

}  // namespace
}  // namespace daybreak
