// Weights that are kept in bf16 beside the f32 ones: the same training to the last bit, without a
// conversion of weights in any step, and never out of step with the weights.

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "core/philox.h"
#include "plan/executor.h"
#include "plan/memory_check.h"
#include "plan/small_nets.h"
#include "plan/step_runner.h"
#include "plan/weight_copy.h"
#include "support/forwarding_backend.h"
#include "support/recording_backend.h"

namespace daybreak {
namespace {

constexpr int kBatch = 8;

/// The CPU's kernels, with plans as on a device that keeps rounded weights.
class Keeping final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  bool keeps_rounded_weights(DType dtype) const override { return dtype == DType::bf16; }
};

class RoundedWeights16 : public testing::Test {
 protected:
  RoundedWeights16() : cpu_(make_cpu_backend(1)), keeping_(*cpu_) {}
  void SetUp() override {
    if (!cpu_->supports(DType::bf16)) GTEST_SKIP() << "skipped: no bf16: " << cpu_->identity();
  }

  BackendPtr cpu_;
  Keeping keeping_;
};

PlanRequest request_for(const Graph& graph, Mode mode) {
  PlanRequest request;
  request.mode = mode;
  request.batch = kBatch;
  request.dtype = DType::bf16;
  request.keep = {graph.prediction};
  if (mode == Mode::train) request.keep.push_back(graph.loss);
  return request;
}

/// A network with a training and an evaluation plan.
struct Net {
  Net(Graph graph, Backend& backend, const std::vector<bool>& frozen = {})
      : executor(std::move(graph), backend) {
    PlanRequest request = request_for(executor.graph(), Mode::train);
    request.frozen = frozen;
    train = executor.add_plan(request);
    eval = executor.add_plan(request_for(executor.graph(), Mode::eval));
    executor.prepare();
    executor.initialize(3);
    executor.set_optimizer({.kind = OptimizerKind::sgd, .nesterov = true});
    std::vector<ParamKnobs> knobs(executor.graph().params.size());
    for (std::size_t p = 0; p < knobs.size(); ++p) {
      knobs[p].weight_decay = p % 2 == 0 ? 1e-3f : 0.0f;
      knobs[p].frozen = !frozen.empty() && frozen[p];
    }
    executor.set_groups(executor.params().groups(knobs));
    executor.scalars().lr = 0.01f;
    executor.scalars().momentum = 0.9f;
    runner = std::make_unique<StepRunner>(executor);
  }

  double step(int seed) {
    upload(train, seed);
    runner->queue({train});
    return runner->read().front().loss;
  }
  std::vector<float> predict(int seed) {
    upload(eval, seed);
    executor.forward(eval);
    std::vector<float> scores;
    executor.read(eval, executor.graph().prediction, scores);
    return scores;
  }
  void upload(PlanId plan, int seed) {
    const Graph& graph = executor.graph();
    Draws draws(5, Purpose::synthetic, static_cast<std::uint64_t>(seed), 3);
    const Shape& shape = executor.plan(plan).shapes[graph.input(InputRole::image)];
    std::vector<float> pictures(static_cast<std::size_t>(shape.count()));
    for (float& value : pictures) value = draws.uniform(-1.0f, 1.0f);
    std::vector<std::int32_t> labels;
    for (int i = 0; i < kBatch; ++i) labels.push_back(static_cast<int>(draws.below(3)));
    executor.upload(plan, InputRole::image, pictures.data(), pictures.size() * sizeof(float));
    executor.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(labels[0]));
  }

  std::vector<std::vector<float>> weights() {
    std::vector<std::vector<float>> all;
    for (std::size_t p = 0; p < executor.graph().params.size(); ++p) {
      all.push_back(executor.params().read_weight(static_cast<ParamId>(p)));
    }
    return all;
  }

  Executor executor;
  PlanId train = -1, eval = -1;
  std::unique_ptr<StepRunner> runner;
};

// To nearest, ties to even.
std::uint16_t bf16_bits(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t below = bits & 0xFFFFu, kept = bits >> 16;
  const bool up = below > 0x8000u || (below == 0x8000u && (kept & 1u) != 0);
  return static_cast<std::uint16_t>(kept + (up ? 1u : 0u));
}

// The whole arena of trained weights, padding included.
testing::AssertionResult rounded_are_the_weights(Net& net) {
  ParamStore& params = net.executor.params();
  const std::vector<RoundedWeights> all = params.rounded_bases();
  if (all.size() != 1 || all[0].dtype != DType::bf16) {
    return testing::AssertionFailure() << all.size() << " rounded copies";
  }
  std::vector<float> weights(params.trained_elements());
  std::vector<std::uint16_t> rounded(weights.size());
  Backend& backend = net.executor.backend();
  backend.copy_out(weights.data(), params.weights_base(), weights.size() * sizeof(float));
  backend.copy_out(rounded.data(), all[0].data, rounded.size() * sizeof(rounded[0]));
  std::size_t different = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (rounded[i] != bf16_bits(weights[i])) ++different;
  }
  if (different == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << different << " of " << weights.size() << " differ";
}

bool reads_place(const Plan& plan, TensorId id, Place place) {
  return id != kNone && plan.tensors[plan.root(id)].place == place;
}

TEST_F(RoundedWeights16, NoStepConvertsAWeight) {
  for (Graph& graph : small_nets()) {
    Net net(std::move(graph), keeping_);
    int read = 0;
    for (const PlanId id : {net.train, net.eval}) {
      const Plan& plan = net.executor.plan(id);
      for (const PlanStep& step : plan.steps) {
        if (step.kind == StepKind::reorder && reads_place(plan, step.x[0], Place::weight)) {
          EXPECT_EQ(plan.tensors[step.y].desc.dtype, DType::f32) << step.layer;
        }
        // As it lies, or from one 16-bit layout to another: oneDNN's differ by direction.
        for (const auto* ids : {&step.x, &step.w}) {
          for (const TensorId t : *ids) read += reads_place(plan, t, Place::rounded) ? 1 : 0;
        }
        for (const TensorId dw : step.dw) EXPECT_FALSE(reads_place(plan, dw, Place::rounded));
      }
    }
    EXPECT_GT(read, 0) << net.executor.graph().name;
  }
}

TEST_F(RoundedWeights16, TrainingHasTheBitsOfConversionsInEveryStep) {
  for (std::size_t i = 0; i < small_nets().size(); ++i) {
    Net plain(std::move(small_nets()[i]), *cpu_), kept(std::move(small_nets()[i]), keeping_);
    SCOPED_TRACE(plain.executor.graph().name);
    EXPECT_TRUE(plain.executor.params().rounded_bases().empty());
    EXPECT_TRUE(rounded_are_the_weights(kept)) << "after initialisation";
    for (int step = 0; step < 6; ++step) {
      EXPECT_EQ(kept.step(step), plain.step(step)) << step;
      EXPECT_TRUE(rounded_are_the_weights(kept)) << "after step " << step;
    }
    EXPECT_EQ(kept.weights(), plain.weights());
    EXPECT_EQ(kept.predict(9), plain.predict(9));
  }
}

TEST_F(RoundedWeights16, RecordedStepsWriteThem) {
  RecordingBackend recording(keeping_);
  Net plain(residual_net(), *cpu_), recorded(residual_net(), recording);
  for (int step = 0; step < 6; ++step) EXPECT_EQ(recorded.step(step), plain.step(step)) << step;
  EXPECT_EQ(recording.recordings, 1);
  EXPECT_EQ(recording.violations, std::vector<std::string>{});
  EXPECT_TRUE(rounded_are_the_weights(recorded));
  EXPECT_EQ(recorded.weights(), plain.weights());
}

TEST_F(RoundedWeights16, FrozenWeightsKeepTheirs) {
  const Graph graph = residual_net();
  std::vector<bool> frozen(graph.params.size());
  for (std::size_t p = 0; p < frozen.size(); ++p) frozen[p] = p % 3 == 0;
  Net plain(residual_net(), *cpu_, frozen), kept(residual_net(), keeping_, frozen);
  const auto start = kept.weights();
  for (int step = 0; step < 4; ++step) EXPECT_EQ(kept.step(step), plain.step(step)) << step;
  EXPECT_TRUE(rounded_are_the_weights(kept));
  EXPECT_EQ(kept.weights(), plain.weights());
  EXPECT_EQ(kept.weights()[0], start[0]);
  EXPECT_NE(kept.weights()[1], start[1]);
}

TEST_F(RoundedWeights16, AStepThatIsSkippedLeavesThem) {
  Net net(residual_net(), keeping_);
  net.step(0);
  net.executor.scalars().lr = std::numeric_limits<float>::infinity();
  net.executor.scalars().grad_scale = std::numeric_limits<float>::quiet_NaN();
  net.executor.scalars().guarded = 1;
  net.step(1);
  EXPECT_EQ(net.executor.scalars().skipped, 1u);
  EXPECT_TRUE(rounded_are_the_weights(net));
}

// A resumed run writes weights one by one; averages are given and exchanged behind the optimizer.
TEST_F(RoundedWeights16, FollowWeightsThatAreWritten) {
  Net first(darknet_block_net(), keeping_), second(darknet_block_net(), keeping_);
  for (int step = 0; step < 3; ++step) first.step(step);
  WeightCopy mean(second.executor.params(), keeping_);
  mean.take();
  const std::vector<float> initial = second.predict(1);
  const auto weights = first.weights();
  for (std::size_t p = 0; p < weights.size(); ++p) {
    second.executor.params().write_weight(static_cast<ParamId>(p), weights[p]);
    EXPECT_TRUE(rounded_are_the_weights(second)) << p;
  }
  const std::vector<float> trained = first.predict(1);
  EXPECT_EQ(second.predict(1), trained);
  EXPECT_NE(trained, initial);
  mean.exchange();
  EXPECT_TRUE(rounded_are_the_weights(second));
  EXPECT_EQ(second.predict(1), initial);
  mean.exchange();
  EXPECT_EQ(second.predict(1), trained);
  mean.follow(0.25);
  EXPECT_EQ(second.predict(1), trained) << "an average that nobody has given";
  mean.give();
  EXPECT_TRUE(rounded_are_the_weights(second));
  EXPECT_NE(second.predict(1), trained);
  second.executor.initialize(3);
  EXPECT_TRUE(rounded_are_the_weights(second));
  EXPECT_EQ(second.executor.params().read_weight(0), Net(darknet_block_net(), *cpu_).weights()[0]);
}

TEST_F(RoundedWeights16, TakeTwoBytesAWeight) {
  Executor with(residual_net(), keeping_), without(residual_net(), *cpu_);
  for (Executor* executor : {&with, &without}) {
    executor->add_plan(request_for(executor->graph(), Mode::train));
  }
  const std::size_t more = memory_need(with, 1, /*accumulates=*/false).parameters -
                           memory_need(without, 1, /*accumulates=*/false).parameters;
  with.prepare();
  without.prepare();
  EXPECT_EQ(more, 2 * with.params().trained_elements());
  EXPECT_EQ(with.params().bytes() - without.params().bytes(), more);
}

}  // namespace
}  // namespace daybreak
