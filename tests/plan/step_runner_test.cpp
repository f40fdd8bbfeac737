#include "plan/step_runner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/philox.h"
#include "plan/small_nets.h"
#include "support/recording_backend.h"

// What a captured step will be on a GPU, proven with a backend that notes kernels in host memory:
// the same bits as kernel by kernel, nothing read, waited for or allocated in between, one
// recording a plan until optimizer or groups change.

namespace daybreak {
namespace {

constexpr int kBatch = 4, kSmallBatch = 3;

class Trained {
 public:
  explicit Trained(Backend& backend) : executor_(residual_net(), backend) {
    plan_ = plan_of(kBatch);
    small_ = plan_of(kSmallBatch);
    executor_.prepare();
    executor_.prepare_accumulation();
    executor_.initialize(3);
    begin_phase({.kind = OptimizerKind::sgd, .nesterov = true});
    runner_ = std::make_unique<StepRunner>(executor_);
  }

  void begin_phase(const OptimizerAttrs& attrs) {
    executor_.set_optimizer(attrs);
    std::vector<ParamKnobs> knobs(executor_.graph().params.size());
    for (ParamKnobs& knob : knobs) knob.weight_decay = 1e-3f;
    executor_.set_groups(executor_.params().groups(knobs));
  }

  // Rates and pictures change from step to step.
  void queue(int step, int parts = 1, bool small = false) {
    StepScalars& scalars = executor_.scalars();
    scalars.lr = 0.01f * static_cast<float>(1 + step % 3);
    scalars.momentum = 0.9f - 0.01f * static_cast<float>(step % 5);
    scalars.grad_scale = 1.0f / static_cast<float>(parts);
    for (int part = 0; part < parts; ++part) {
      scalars.step = static_cast<std::uint64_t>(step * parts + part);
      upload(step * parts + part, small);
      runner_->queue({small ? small_ : plan_, part == 0, part + 1 == parts});
    }
  }

  void spoil_pictures() { spoiled_ = true; }

  // Running statistics are weights that nobody trains.
  std::vector<std::vector<float>> weights(bool trained_only = false) {
    std::vector<std::vector<float>> all;
    for (std::size_t p = 0; p < executor_.graph().params.size(); ++p) {
      if (trained_only && !is_trained(executor_.graph().params[p].spec.role)) continue;
      all.push_back(executor_.params().read_weight(static_cast<ParamId>(p)));
    }
    return all;
  }
  StepRunner& runner() { return *runner_; }
  Executor& executor() { return executor_; }

 private:
  PlanId plan_of(int batch) {
    const Graph& graph = executor_.graph();
    PlanRequest request;
    request.batch = batch;
    request.keep = {graph.loss, graph.prediction, graph.topk};
    return executor_.add_plan(request);
  }

  void upload(int seed, bool small) {
    const PlanId plan = small ? small_ : plan_;
    Draws draws(5, Purpose::synthetic, static_cast<std::uint64_t>(seed), 2);
    const Shape& shape = executor_.plan(plan).shapes[executor_.graph().input(InputRole::image)];
    std::vector<float> pictures(static_cast<std::size_t>(shape.count()));
    for (float& value : pictures) value = draws.uniform(-1.0f, 1.0f);
    if (spoiled_) pictures[0] = std::numeric_limits<float>::quiet_NaN();
    std::vector<std::int32_t> labels;
    for (int i = 0; i < shape.n; ++i) labels.push_back(static_cast<int>(draws.below(3)));
    executor_.upload(plan, InputRole::image, pictures.data(), pictures.size() * sizeof(float));
    executor_.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(int));
  }

  Executor executor_;
  PlanId plan_ = -1, small_ = -1;
  std::unique_ptr<StepRunner> runner_;
  bool spoiled_ = false;
};

TEST(StepRunner, RecordedStepsGiveTheBitsOfPlainOnes) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend recording(*cpu);
  Trained plain(*cpu), recorded(recording);
  std::vector<StepRecord> expected;
  for (int step = 0; step < 12; ++step) {
    plain.queue(step);
    expected.push_back(plain.runner().read().front());
    recorded.queue(step);
  }
  EXPECT_EQ(recorded.runner().queued(), 12);
  const std::vector<StepRecord> actual = recorded.runner().read();
  ASSERT_EQ(actual.size(), 12u);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].loss, expected[i].loss) << i;
    EXPECT_EQ(actual[i].grad_norm, expected[i].grad_norm) << i;
    EXPECT_EQ(actual[i].hits, expected[i].hits) << i;
  }
  EXPECT_GT(actual.back().grad_norm, 0.0f);
  EXPECT_EQ(recorded.weights(), plain.weights());
  EXPECT_EQ(recorded.executor().scalars().update, 13u);
}

TEST(StepRunner, AStepReadsNothingAndIsRecordedOnce) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend backend(*cpu);
  Trained net(backend);
  net.queue(0);
  net.queue(1);
  EXPECT_EQ(backend.recordings, 1);
  const int read_back = backend.read_back, waits = backend.waits, run = backend.kernels_run;
  for (int step = 2; step < 40; ++step) net.queue(step);
  EXPECT_EQ(backend.recordings, 1) << "rates that change must not record anew";
  EXPECT_EQ(backend.replays, 39);
  EXPECT_EQ(backend.read_back, read_back) << "the host read something";
  EXPECT_EQ(backend.waits, waits) << "the host waited";
  EXPECT_EQ(backend.kernels_run, run) << "a kernel ran outside of the recording";
  EXPECT_EQ(backend.violations, std::vector<std::string>{});
  EXPECT_EQ(net.runner().read().size(), 40u);
}

TEST(StepRunner, APlanAndAPhaseHaveRecordingsOfTheirOwn) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend recording(*cpu);
  Trained plain(*cpu), recorded(recording);
  for (Trained* net : {&plain, &recorded}) {
    for (int step = 0; step < 6; ++step) net->queue(step, 1, step % 3 == 2);
    net->runner().read();
    net->begin_phase({.kind = OptimizerKind::adam});
    for (int step = 0; step < 5; ++step) net->queue(step);
    net->runner().read();
  }
  EXPECT_EQ(recording.recordings, 3) << "two plans, and one of them again in the second phase";
  EXPECT_EQ(recording.violations, std::vector<std::string>{});
  EXPECT_EQ(recorded.weights(), plain.weights());
}

TEST(StepRunner, MicroBatchesAreSummedOnTheDevice) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend recording(*cpu);
  Trained plain(*cpu), recorded(recording);
  double expected = 0.0, actual = 0.0;
  for (int step = 0; step < 5; ++step) {
    plain.queue(step, 3);
    expected = plain.runner().read().front().loss;
    recorded.queue(step, 3);
  }
  actual = recorded.runner().read().back().loss;
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(recording.recordings, 3) << "first, middle and last";
  EXPECT_EQ(recorded.weights(), plain.weights());
}

TEST(StepRunner, WhereNothingCanBeRecordedEveryKernelRuns) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend refusing(*cpu);
  refusing.refuses = true;
  Trained plain(*cpu), other(refusing);
  for (int step = 0; step < 4; ++step) {
    plain.queue(step);
    other.queue(step);
  }
  plain.runner().read();
  other.runner().read();
  EXPECT_EQ(refusing.recordings, 0);
  EXPECT_EQ(refusing.replays, 0);
  EXPECT_EQ(other.weights(), plain.weights());
}

// Queued steps go on after the bad one, but change nothing; the report says which one it was.
TEST(StepRunner, AfterALossThatIsNotFiniteNoWeightMoves) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend recording(*cpu);
  for (Backend* backend : {cpu.get(), static_cast<Backend*>(&recording)}) {
    Trained net(*backend);
    for (int step = 0; step < 3; ++step) net.queue(step);
    net.runner().read();
    const auto start = net.weights(/*trained_only=*/true);
    net.queue(3);
    net.spoil_pictures();
    const auto before = net.weights(/*trained_only=*/true);
    EXPECT_NE(before, start);
    for (int step = 4; step < 7; ++step) net.queue(step);
    const std::vector<StepRecord> records = net.runner().read();
    ASSERT_EQ(records.size(), 4u);
    EXPECT_TRUE(std::isfinite(records[0].loss));
    EXPECT_EQ(records[0].skips, 0u);
    for (int i = 1; i < 4; ++i) {
      EXPECT_FALSE(std::isfinite(records[i].loss));
      EXPECT_EQ(records[i].skips, 1u);
    }
    EXPECT_EQ(net.weights(/*trained_only=*/true), before);
  }
}

TEST(StepRunner, TheRingHoldsAsManyStepsAsMayBeQueued) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend recording(*cpu);
  Trained plain(*cpu), recorded(recording);
  std::vector<double> expected, actual;
  for (int step = 0; step < StepRunner::most() + 7; ++step) {
    plain.queue(step);
    expected.push_back(plain.runner().read().front().loss);
    recorded.queue(step);
    if (recorded.runner().queued() == StepRunner::most()) {
      for (const StepRecord& record : recorded.runner().read()) actual.push_back(record.loss);
    }
  }
  for (const StepRecord& record : recorded.runner().read()) actual.push_back(record.loss);
  EXPECT_EQ(actual, expected);
}

}  // namespace
}  // namespace daybreak
