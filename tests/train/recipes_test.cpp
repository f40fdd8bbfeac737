// The shipped recipes say what their originals do.

#include <cmath>

#include <gtest/gtest.h>

#include "config/solver_config.h"
#include "layers/build_graph.h"
#include "train/param_knobs.h"
#include "train/schedule.h"

namespace daybreak {
namespace {

SolverConfig shipped(const std::string& name) {
  return load_solver(std::string(DAYBREAK_SOURCE_DIR) + "/cfg/solver/" + name + ".yaml", {});
}

// airbench94.py: 48 steps an epoch, 9.9 epochs; lr 1.5 (of the mean loss) times a triangle from 0.2
// over 1 at 23 % to 0.07, with corners at whole steps; those of phases lie between steps.
TEST(Recipes, Airbench94HasThePublishedSchedule) {
  const SolverConfig config = shipped("airbench94");
  const Schedule schedule(config.spec, 50'000);
  ASSERT_EQ(schedule.total_steps(), 476);
  const int warm_up = 109;  // int(476 * 0.23)
  for (std::int64_t step = 0; step < 476; ++step) {
    const double up = static_cast<double>(step) / warm_up;
    const double down = static_cast<double>(step - warm_up) / (476 - warm_up);
    const double factor = step < warm_up ? 0.2 * (1 - up) + up : 1 - down + 0.07 * down;
    const Knobs knobs = schedule.at(step);
    EXPECT_NEAR(knobs.lr, 11.5 / (1 + 1 / (1 - 0.85)) * factor, 4e-3) << step;
    EXPECT_EQ(knobs.momentum, 0.85);
  }
  ASSERT_EQ(schedule.phases().size(), 3u);
  EXPECT_EQ(schedule.phases()[2].begin_step, 144);  // three epochs
}

// weight decay: 0.0153 a step of 1024 samples whatever the rate; norm biases learn 64 times as
// fast.
TEST(Recipes, Airbench94HasThePublishedKnobs) {
  const SolverConfig config = shipped("airbench94");
  BuildOptions options;
  options.stand_in_classes = 10;
  const Graph graph = build_graph(config.net, options);
  const Schedule schedule(config.spec, 50'000);
  for (int p = 0; p < 3; ++p) {
    const PhasePlan& phase = schedule.phases()[static_cast<std::size_t>(p)];
    const auto knobs = param_knobs(graph, phase.optimizer,
                                   frozen_params(graph, phase.freeze, phase.mark), phase.mark);
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      const std::string& name = graph.params[i].name;
      if (!is_trained(graph.params[i].spec.role)) continue;
      const bool norm = name.find("norm") != std::string::npos;
      const bool bias = name.ends_with("bias");
      const bool frozen =
          name == "whiten.weight" || (norm && !bias) || (name == "whiten.bias" && p == 2);
      EXPECT_EQ(knobs[i].frozen, frozen) << name << " in phase " << p;
      EXPECT_EQ(knobs[i].lr_scale, norm && bias ? 64.0f : 1.0f) << name;
      EXPECT_NEAR(knobs[i].lr_scale * knobs[i].weight_decay, 0.0153 / 11.5, 1e-7) << name;
    }
  }
  EXPECT_NEAR(config.spec.lookahead.decay, std::pow(0.95, 5), 1e-5);
  EXPECT_TRUE(config.spec.optimizer.nesterov);
  EXPECT_EQ(config.spec.tta, Views::shift);
}

// imagenet-fast, cifar10/dawn_submission: lr 1.5, wd 1e-4, use-clr 20,20,0.95,0.85, loss scale 512.
TEST(Recipes, Wrn22IsTheEntryForOneGpu) {
  const SolverSpec spec = shipped("wrn22-f16").spec;
  EXPECT_EQ(spec.precision, Precision::f16);
  EXPECT_EQ(spec.loss_scale, 512.0);
  EXPECT_EQ(spec.batch, 512);
  EXPECT_EQ(spec.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(spec.optimizer.decay_on, DecayOn::all);
  const Schedule schedule(spec, 50'000);
  EXPECT_EQ(schedule.epochs(), 30);
  EXPECT_DOUBLE_EQ(schedule.at(0).lr, 1.5 / 20);
  EXPECT_NEAR(schedule.at(schedule.total_steps() * 2 / 5).lr, 1.5, 1e-6);
  EXPECT_EQ(shipped("wrn22").spec.precision, Precision::automatic);
}

}  // namespace
}  // namespace daybreak
