#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "config/solver_config.h"
#include "config/spec_names.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SolverSpec spec_of(const std::string& text) {
  return load_solver_text(
             text +
                 "\nnet: {input: {}, layers: [{conv: {filters: 8}}, flatten, {linear: 10}]}\n"
                 "data: {sources: [synthetic]}\n",
             "f.yaml")
      .spec;
}

/// lr at step i of a run of `steps_per_epoch`: the definitions of phases, computed here anew.
double lr_at(const SolverSpec& spec, double steps_per_epoch, double i) {
  double start = 0;
  for (const PhaseSpec& phase : spec.phases) {
    const double end =
        phase.until.amount * (phase.until.unit == LengthUnit::epochs ? steps_per_epoch : 1);
    if (i < std::ceil(end - 1e-6)) {
      const double t = (i - std::ceil(start - 1e-6)) / (end - start);
      const double a = phase.lr->start, b = phase.lr->end.value_or(a);
      if (phase.curve == Curve::linear) return a + (b - a) * t;
      if (phase.curve == Curve::cosine)
        return b + (a - b) / 2 * (1 + std::cos(std::numbers::pi * t));
      return a;
    }
    start = end;
  }
  return -1;
}

TEST(Schedule, OneCycleHasTheVectorsOfPhases1Cycle) {
  const SolverSpec spec =
      spec_of("one_cycle: {length: 30e, lr: 1.3, div: 20, tail: 0.2, tail_div: 100}");
  const std::pair<double, double> kVectors[] = {
      {0, 0.065},    {1, 0.0655251},    {1176, 0.6825},   {2351, 1.29947},
      {2352, 1.3},   {2353, 1.29947},   {3528, 0.6825},   {4703, 0.0655251},
      {4704, 0.065}, {4705, 0.0649453}, {5292, 0.032825}, {5879, 0.000704719}};
  for (const auto& [step, lr] : kVectors)
    EXPECT_NEAR(lr_at(spec, 196, step), lr, lr * 1e-5) << step;
  ASSERT_EQ(spec.phases.size(), 3u);
  EXPECT_EQ(spec.phases[0].momentum->start, 0.95);
  EXPECT_EQ(spec.phases[0].momentum->end, 0.85);
  EXPECT_EQ(spec.phases[2].momentum->start, 0.95);
  EXPECT_FALSE(spec.phases[2].momentum->end);
}

TEST(Schedule, CosineOneCycleHasTheVectorsOfFastai) {
  const SolverSpec second = spec_of("one_cycle: {length: 30e, lr: 1.3, div: 25, shape: cosine}");
  const std::pair<double, double> kSecond[] = {
      {0, 0.052},       {1, 0.0520014},   {1176, 1.18083},    {2351, 1.17613},
      {3528, 0.717949}, {4704, 0.215076}, {5879, 1.31649e-05}};
  for (const auto& [step, lr] : kSecond)
    EXPECT_NEAR(lr_at(second, 196, step), lr, lr * 1e-5) << step;
  const SolverSpec first = spec_of(
      "one_cycle: {length: 30e, lr: 1.3, div: 25, tail_div: 1e4, rise: 0.3, shape: cosine}");
  const std::pair<double, double> kFirst[] = {
      {0, 0.052},       {1, 0.052001},    {1176, 0.988},      {2351, 1.23585},
      {3528, 0.794641}, {4704, 0.244736}, {5879, 5.38933e-06}};
  for (const auto& [step, lr] : kFirst) EXPECT_NEAR(lr_at(first, 196, step), lr, lr * 1e-5) << step;
}

TEST(Schedule, SgdrHasTheVectorsOfPhasesSgdr) {
  const SolverSpec spec = spec_of("sgdr: {cycles: 2, length: 1e, mult: 2, lr: 0.01}");
  const std::pair<double, double> kVectors[] = {
      {0, 0.0001},       {39, 0.0001}, {40, 0.01},         {41, 0.00999996}, {200, 0.00889849},
      {600, 0.00142248}, {782, 0.01},  {1173, 0.00853553}, {1564, 0.005},    {2345, 1.00871e-08}};
  for (const auto& [step, lr] : kVectors)
    EXPECT_NEAR(lr_at(spec, 782, step), lr, lr * 2e-3) << step;
  ASSERT_EQ(spec.phases.size(), 3u);
  EXPECT_EQ(spec.phases[1].until.amount, 1.0);
  EXPECT_EQ(spec.phases[2].until.amount, 3.0);
  EXPECT_EQ(spec.phases[2].lr->end, 0.0);
}

TEST(Schedule, BordersInStepsAreWhole) {
  const SolverSpec spec = spec_of("one_cycle: {length: 101s, lr: 1}");
  ASSERT_EQ(spec.phases.size(), 3u);
  EXPECT_EQ(length_text(spec.phases[0].until), "41s");
  EXPECT_EQ(length_text(spec.phases[1].until), "81s");
  EXPECT_EQ(length_text(spec.phases[2].until), "101s");
}

TEST(Schedule, NoTailIsTwoPhases) {
  EXPECT_EQ(spec_of("one_cycle: {length: 10e, lr: 1, tail: 0}").phases.size(), 2u);
}

TEST(Schedule, PlainLearningRate) {
  const SolverSpec spec = spec_of("lr: 0.1\nlength: 10e\nmomentum: 0.8");
  ASSERT_EQ(spec.phases.size(), 1u);
  EXPECT_EQ(spec.phases[0].lr->start, 0.1);
  EXPECT_FALSE(spec.phases[0].lr->end);
  EXPECT_EQ(spec.phases[0].momentum->start, 0.8);
  EXPECT_EQ(spec_of("lr: 0.1\nlength: 10e").phases[0].momentum->start, 0.9);
}

TEST(Schedule, Policies) {
  const PolicySpec steps =
      spec_of(
          "policy: {multistep: {length: 500200s, lr: 0.001, at: [400000, 450000], burn_in: 1000}}")
          .policy;
  EXPECT_EQ(steps.kind, PolicyKind::steps);
  EXPECT_THAT(steps.at, ElementsAre(400000, 450000));
  EXPECT_EQ(steps.burn_in, 1000);
  EXPECT_EQ(steps.burn_in_power, 4.0);
  const PolicySpec sigmoid =
      spec_of("policy: {sigmoid: {length: 1e, lr: 0.1, center: 250, gamma: 0.02}}").policy;
  EXPECT_EQ(sigmoid.kind, PolicyKind::sigmoid);
  EXPECT_EQ(sigmoid.every, 250);
  EXPECT_TRUE(spec_of("policy: {poly: {length: 1e, lr: 0.1}}").phases.empty());
}

TEST(Schedule, PhasesKeepWhatIsNotGiven) {
  const SolverSpec spec = spec_of(
      "phases:\n"
      "  - {until: 2e, lr: [0.01, 0.1], image: 128, batch: 512, freeze: [\"backbone.*\"]}\n"
      "  - {length: 1.5e, lr: 0.1, curve: poly, power: 0.9}\n"
      "  - {until: 14e, lr: [0.1, 0.01], optimizer: {adam: {decay: decoupled}}, augment: [{flip: "
      "0.5}], freeze: []}\n");
  ASSERT_EQ(spec.phases.size(), 3u);
  EXPECT_EQ(spec.phases[0].curve, Curve::linear) << "a pair without any curve";
  EXPECT_EQ(spec.phases[0].momentum->start, 0.9);
  EXPECT_THAT(*spec.phases[0].freeze, ElementsAre("backbone.*"));
  EXPECT_EQ(length_text(spec.phases[1].until), "3.5e");
  EXPECT_EQ(spec.phases[1].lr->end, 0.0) << "one lr with a curve falls to 0";
  EXPECT_FALSE(spec.phases[1].momentum);
  EXPECT_EQ(spec.phases[2].power, 0.9);
  EXPECT_FALSE(spec.phases[2].curve);
  EXPECT_EQ(spec.phases[2].optimizer->type, OptimizerType::adam);
  EXPECT_EQ(spec.phases[2].optimizer->decay, WeightDecayForm::decoupled);
  EXPECT_THAT(*spec.phases[2].freeze, IsEmpty());
  EXPECT_EQ(spec.phases[2].mark.line, 4);
}

}  // namespace
}  // namespace daybreak
