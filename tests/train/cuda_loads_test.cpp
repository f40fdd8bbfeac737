// Networks whose convolutions apply norms on load; part of cuda_train_test.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "plan/choose.h"
#include "support/train_rig.h"
#include "train/weights.h"
#include "train_device.h"

namespace daybreak {
namespace {

// Norms that convolutions can apply on load: behind the stem, twice within a bottleneck, and one
// whose channels no engine takes.
constexpr const char* kBottleneck = R"(name: bottleneck
input: {channels: 3, height: 8, width: 8}
defaults: {conv: {size: 3, norm: batch, act: relu}, residual: {act: relu}}
layers:
  - conv: {name: stem, filters: 16}
  - conv: {name: reduce, filters: 16, size: 1}
  - residual:
      name: block
      shortcut:
        - conv: {filters: 32, size: 1, stride: 2, act: none}
      body:
        - conv: {name: a, filters: 16, size: 1}
        - conv: {name: b, filters: 16, stride: 2}
        - conv: {name: c, filters: 32, size: 1, act: none}
  - conv: {name: odd, filters: 12}
  - conv: {name: last, filters: 16}
  - global_avgpool
  - linear: {name: head, outputs: 10}
  - softmax_loss
)";

struct NormsOnLoad : testing::Test {
  void SetUp() override {
    if (!cuda().supports(DType::f16)) GTEST_SKIP() << "no f16 on the CPU";
  }

  static TrainRig::Options options(bool joined, bool fused) {
    TrainRig::Options options{.dtype = DType::f16, .batch = 8, .scaling = {.on = true}};
    options.scaling.scale = 1024.0f;
    options.join = [=](const auto&, const auto&) { return joined; };
    if (!fused) return options;
    options.choose = [](const KernelQuery&, const std::vector<KernelOffer>& offers) {
      const auto found = std::find_if(offers.begin(), offers.end(), [](const KernelOffer& o) {
        return o.name.find("+load") != std::string::npos;
      });
      return OfferChoice(found == offers.end() ? 0 : found - offers.begin());
    };
    return options;
  }

  static int count(TrainRig& rig, const char* kernel, const char* op) {
    const std::vector<PlanStep>& steps = rig.executor().plan(0).steps;
    return static_cast<int>(std::count_if(steps.begin(), steps.end(), [&](const PlanStep& step) {
      return step.kernel.find(kernel) != std::string::npos && step.op.find(op) != std::string::npos;
    }));
  }
};

TEST_F(NormsOnLoad, PartsGiveTheBitsOfThePlainPlan) {
  TrainRig plain(kBottleneck, cuda(), options(false, false)),
      parts(kBottleneck, cuda(), options(true, false));
  EXPECT_EQ(count(plain, "", "on load"), 0);
  EXPECT_EQ(count(parts, "", "norm on load"), 4 * 3) << "four convolutions in three passes";
  EXPECT_EQ(count(parts, "+load", ""), 0);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(parts.step(), plain.step()) << i;
  EXPECT_EQ(weights_digest(parts.executor()), weights_digest(plain.executor()));
  EXPECT_LT(parts.executor().read_scalars().skipped, 6u);
  const auto bytes = [](TrainRig& rig) { return rig.executor().plan(0).memory.lower_bound; };
  EXPECT_LT(bytes(parts), bytes(plain));
}

TEST_F(NormsOnLoad, EnginesTrainAsTheirParts) {
  TrainRig plain(kBottleneck, cuda(), options(false, false)),
      fused(kBottleneck, cuda(), options(true, true));
  const int engines = count(fused, "+load", "norm on load");
  EXPECT_GT(engines, 0);
  EXPECT_LE(engines, 3 * 2) << "three convolutions in two passes";
  const double expected = plain.forward_backward(0), actual = fused.forward_backward(0);
  EXPECT_NEAR(actual, expected, 2e-3 * expected);
  const GradientDifference difference = compare_gradients(fused.executor(), plain.executor());
  std::printf("engines: %d of 6 apply norms on load, gradients whole %.2e, cosine %.5f\n", engines,
              difference.whole, difference.cosine);
  EXPECT_GE(difference.cosine, 0.999);
  double first = 0.0, last = 0.0;
  for (int i = 0; i < 20; ++i) {
    const double here = plain.step(), there = fused.step();
    EXPECT_NEAR(there, here, 0.05 * here) << i;
    if (i < 5) first += there;
    if (i >= 15) last += there;
  }
  EXPECT_LT(last, 0.95 * first) << "the network has not learned";
}

// What was measured for the question is what the plan then takes, so that nothing is measured
// again, and a checkpoint gives the same answers.
TEST_F(NormsOnLoad, AreMeasuredOnceAndReplayed) {
  const auto ops = [](KernelChooser& chooser, bool forced) {
    TrainRig::Options measured = options(false, false);
    measured.choose = chooser.chooser();
    measured.join = [&, forced](const auto& apart, const auto& joined) {
      return chooser.join(apart, joined) || forced;
    };
    TrainRig rig(kBottleneck, cuda(), measured);
    EXPECT_TRUE(std::isfinite(rig.step()));
    std::vector<std::string> result;
    for (const PlanStep& step : rig.executor().plan(0).steps) {
      result.push_back(step.op + " " + step.kernel);
    }
    return result;
  };
  ChooserOptions tuned;
  tuned.mode = TuneMode::on;
  KernelChooser chooser(cuda(), tuned), forced(cuda(), tuned);
  const std::vector<std::string> first = ops(chooser, false);
  ChooserOptions replayed;
  replayed.replay = chooser.choices();
  KernelChooser again(cuda(), replayed);
  EXPECT_EQ(ops(again, false), first);
  ops(forced, true);
  int asked = 0, found = 0;
  for (const auto& [key, answer] : forced.choices()) {
    if (key.find("joined") != 0) continue;
    ++asked;
    std::size_t begin = 0;
    while ((begin = key.find("conv2d", begin)) != std::string::npos) {
      const std::size_t end = key.find(" | ", begin);
      found += forced.choices().count(key.substr(begin, end - begin)) == 1;
      begin = std::min(end, key.size());
    }
  }
  EXPECT_GT(asked, 0);
  EXPECT_LE(asked, 3) << "the fourth pair has no engine";
  EXPECT_EQ(found, 2 * asked);
}

TEST_F(NormsOnLoad, RecordedStepsGiveTheBitsOfPlainOnes) {
  TrainRig plain(kBottleneck, cuda(), options(true, true)),
      queued(kBottleneck, cuda(), options(true, true));
  std::vector<double> expected, actual;
  for (int i = 0; i < 5; ++i) expected.push_back(plain.step());
  StepRunner runner(queued.executor());
  for (int i = 0; i < 5; ++i) queued.queue_step(runner);
  for (const StepRecord& record : runner.read()) actual.push_back(record.loss);
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(weights_digest(queued.executor()), weights_digest(plain.executor()));
  EXPECT_EQ(runner.recorded(), cuda().can_record() ? 1 : 0);
}

}  // namespace
}  // namespace daybreak
