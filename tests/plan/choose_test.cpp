#include "plan/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/philox.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "plan/executor.h"
#include "plan/small_nets.h"
#include "plan/tune_key.h"
#include "support/forwarding_backend.h"
#include "support/temp_folder.h"

namespace daybreak {
namespace {

using testing::HasSubstr;
using testing::Not;

// Runs for a given time and nothing else.
class Sleeper final : public Kernel {
 public:
  Sleeper(int microseconds, int* runs) : microseconds_(microseconds), runs_(runs) {}
  void run(const Bindings&) override {
    ++*runs_;
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds_));
  }

 private:
  int microseconds_;
  int* runs_;
};

// Keeps the processor for a given time: a sleep is longer than it says by tens of microseconds.
struct Spinner final : Kernel {
  explicit Spinner(int microseconds) : time(microseconds) {}
  void run(const Bindings&) override {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
    }
  }
  std::chrono::microseconds time;
};

// The reference backend, whose convolutions take a given time and whose reorders take another.
class TimedBackend final : public ForwardingBackend {
 public:
  explicit TimedBackend(Backend& inner) : ForwardingBackend(inner) {}
  bool measurable() const override { return true; }
  KernelPtr reorder(const TensorDesc&, const TensorDesc&) override {
    return std::make_unique<Sleeper>(reorder_time, &runs);
  }
  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override { return a == b; }
  int reorder_time = 3000;
  int runs = 0;
};

class Choose : public testing::Test {
 protected:
  Choose() : ref_(make_ref_backend()), backend_(*ref_) {
    query_.op = &conv_;
    query_.inputs = {plain_desc({2, 4, 6, 6}, DType::f32)};
    query_.output = plain_desc({2, 4, 6, 6}, DType::f32);
    query_.params = {plain_desc({4, 4, 3, 3}, DType::f32)};
    conv_.out_channels = 4;
    conv_.bias = false;
  }
  KernelOffer offer(const std::string& name, int microseconds,
                    KernelAlgorithm algorithm = KernelAlgorithm::direct, Layout x = kNchw) {
    KernelOffer result;
    result.name = name;
    result.algorithm = algorithm;
    result.inputs = query_.inputs;
    result.inputs[0].layout = x;
    result.output = query_.output;
    result.params = query_.params;
    result.make = [this, microseconds] {
      return std::make_unique<Sleeper>(microseconds, &backend_.runs);
    };
    return result;
  }
  ChooserOptions options(TuneMode mode = TuneMode::on) const {
    ChooserOptions result;
    result.mode = mode;
    result.cache = folder_ / "daybreak/tune.json";
    return result;
  }
  std::size_t choose(const ChooserOptions& options, const std::vector<KernelOffer>& offers) {
    KernelChooser chooser(backend_, options);
    const OfferChoice choice = chooser.choose(query_, offers);
    taken_ = chooser.choices();
    return choice.index;
  }

  Conv2d conv_;
  BackendPtr ref_;
  TimedBackend backend_;
  KernelQuery query_;
  test::TempFolder folder_;
  KernelChoices taken_;
};

TEST_F(Choose, TakesTheFastestAndMeasuresOnce) {
  const std::vector<KernelOffer> offers = {offer("slow", 20000), offer("fast", 1000)};
  EXPECT_EQ(choose(options(TuneMode::off), offers), 0u);
  EXPECT_EQ(choose(options(TuneMode::cached), offers), 0u);
  EXPECT_EQ(backend_.runs, 0);
  EXPECT_EQ(choose(options(), offers), 1u);
  EXPECT_GT(backend_.runs, 0);
  const int runs = backend_.runs;
  EXPECT_EQ(choose(options(), offers), 1u);
  EXPECT_EQ(choose(options(TuneMode::cached), offers), 1u);
  EXPECT_EQ(backend_.runs, runs) << "a second start measures nothing";
  EXPECT_EQ(choose(options(TuneMode::off), offers), 0u);
}

// A second at every start has to be saved in the calls of this training: one that cannot is not
// even made, and one that is known from a longer training is not taken.
TEST_F(Choose, WhatIsSlowToMakeHasToEarnItBack) {
  int made = 0;
  KernelOffer plain = offer("plain", 0), compiled = offer("compiled", 0);
  plain.make = [] { return std::make_unique<Spinner>(5000); };
  compiled.slow_to_make = true;
  compiled.make = [&made, make = compiled.make] { return ++made, make(); };
  const std::vector<KernelOffer> offers = {plain, compiled};
  const auto with_calls = [&](double calls) {
    ChooserOptions some = options();
    some.train_calls = calls;
    return choose(some, offers);
  };
  EXPECT_EQ(with_calls(10), 0u);
  EXPECT_EQ(made, 0) << "nobody earns a second in a twentieth of one";
  EXPECT_EQ(with_calls(10), 0u);
  EXPECT_EQ(with_calls(20000), 1u) << "left out before, it is measured now";
  EXPECT_EQ(made, 1);
  EXPECT_EQ(with_calls(10), 0u) << "known, but too dear";
  EXPECT_EQ(with_calls(20000), 1u);
  EXPECT_EQ(made, 1) << "and measured once";
}

TEST_F(Choose, CountsReorders) {
  backend_.reorder_time = 30000;
  EXPECT_EQ(
      choose(options(), {offer("slow", 4000), offer("fast", 1000, KernelAlgorithm::direct, kNhwc)}),
      0u);
}

TEST_F(Choose, MeasuresAgainWhenTheCandidatesChange) {
  EXPECT_EQ(choose(options(), {offer("slow", 40000), offer("fast", 4000)}), 1u);
  EXPECT_EQ(choose(options(), {offer("slow", 40000), offer("fast", 4000), offer("new", 100)}), 2u);
}

TEST_F(Choose, FiltersByAlgorithm) {
  const std::vector<KernelOffer> offers = {offer("direct", 1000),
                                           offer("wino", 3000, KernelAlgorithm::winograd)};
  ChooserOptions wanted = options();
  wanted.conv = ConvChoice::winograd;
  EXPECT_EQ(choose(wanted, offers), 1u);
  wanted.conv = ConvChoice::direct;
  EXPECT_EQ(choose(wanted, {offers[1], offers[0]}), 1u);
  wanted.conv = ConvChoice::winograd;
  EXPECT_EQ(choose(wanted, {offers[0]}), 0u) << "where there is no Winograd";
}

TEST_F(Choose, ReplayWinsOverTheCache) {
  const std::vector<KernelOffer> offers = {offer("slow", 20000), offer("fast", 1000)};
  EXPECT_EQ(choose(options(TuneMode::off), offers), 0u);
  const KernelChoices of_checkpoint = choices_of_text(to_text(taken_));
  EXPECT_EQ(of_checkpoint, taken_);
  EXPECT_EQ(choose(options(), offers), 1u);
  ChooserOptions resumed = options();
  resumed.replay = of_checkpoint;
  EXPECT_EQ(choose(resumed, offers), 0u);
  resumed.replay.begin()->second = "a kernel of another machine";
  EXPECT_EQ(choose(resumed, offers), 1u);
  EXPECT_TRUE(choices_of_text("{\"a\": ").empty());
  EXPECT_TRUE(choices_of_text("[1]").empty());
}

/// A norm and its convolution, apart and joined, that take given times.
class ChooseJoin : public Choose {
 protected:
  ChooseJoin() {
    loads_.out_channels = 4;
    loads_.bias = false;
    loads_.measures = loads_.chain = loads_.loads = true;
    deferred_.act = norm_.act = {ActKind::relu};
    deferred_.measured = norm_.measured = deferred_.deferred = true;
  }
  KernelAsk ask(const Op& op, int microseconds, bool fused = false) {
    KernelAsk result{query_, {offer("kernel", microseconds)}};
    result.query.op = &op;
    result.offers[0].fused = fused;
    if (op.kind() == OpKind::batchnorm) result.query.params = result.offers[0].params = {};
    return result;
  }
  bool join(const ChooserOptions& options, int norm, int conv, int loads, bool fused = true) {
    KernelChooser chooser(backend_, options);
    const bool result = chooser.join({ask(norm_, norm), ask(conv_, conv)},
                                     {ask(deferred_, 100), ask(loads_, loads, fused)});
    taken_ = chooser.choices();
    return result;
  }

  Conv2d loads_;
  BatchNorm norm_, deferred_;
};

// Times far enough apart for a busy machine.
TEST_F(ChooseJoin, ComparesSums) {
  EXPECT_FALSE(join(options(TuneMode::off), 10000, 10000, 2000));
  EXPECT_FALSE(join(options(TuneMode::cached), 10000, 10000, 2000));
  EXPECT_EQ(backend_.runs, 0);
  EXPECT_TRUE(join(options(), 60000, 60000, 70000)) << "slower than the one, not than both";
  const int runs = backend_.runs;
  EXPECT_TRUE(join(options(TuneMode::cached), 60000, 60000, 70000));
  EXPECT_TRUE(join(options(), 60000, 60000, 70000));
  EXPECT_EQ(backend_.runs, runs) << "a second start measures nothing";
}

TEST_F(ChooseJoin, ASlowerKernelLeavesThemApart) {
  EXPECT_FALSE(join(options(), 3000, 10000, 60000));
}

TEST_F(ChooseJoin, PartsAreNotWorthMeasuring) {
  EXPECT_FALSE(join(options(), 10000, 10000, 2000, /*fused=*/false));
  EXPECT_EQ(backend_.runs, 0);
  EXPECT_TRUE(taken_.empty());
}

TEST_F(ChooseJoin, ReplayWins) {
  EXPECT_TRUE(join(options(), 40000, 40000, 2000));
  ChooserOptions resumed = options(TuneMode::off);
  resumed.replay = choices_of_text(to_text(taken_));
  EXPECT_TRUE(join(resumed, 40000, 40000, 2000));
  resumed.replay.begin()->second = "apart";
  resumed.mode = TuneMode::on;
  EXPECT_FALSE(join(resumed, 40000, 40000, 2000));
  resumed.replay.clear();
  EXPECT_TRUE(join(resumed, 40000, 40000, 2000));
  query_.op = &conv_;
  resumed.replay[tune_key(backend_, query_)] = "kernel";
  EXPECT_FALSE(join(resumed, 40000, 40000, 2000))
      << "a checkpoint from before there was a question";
}

TEST_F(Choose, KeysTellAttributesApart) {
  const std::string key = tune_key(backend_, query_);
  conv_.dilation_h = 2;
  EXPECT_NE(tune_key(backend_, query_), key);
  conv_.dilation_h = 1;
  query_.mode = Mode::eval;
  EXPECT_NE(tune_key(backend_, query_), key);
  query_.mode = Mode::train;
  conv_.measures = true;
  EXPECT_THAT(tune_key(backend_, query_), HasSubstr("with statistics"));
  conv_.chain = true;
  query_.pass = Pass::backward_data;
  EXPECT_THAT(tune_key(backend_, query_), HasSubstr("summed up for a norm"));
  query_.pass = Pass::backward_weights;
  const std::string gradient = tune_key(backend_, query_);
  conv_.measures = conv_.chain = false;
  EXPECT_EQ(tune_key(backend_, query_), gradient) << "the same kernels as of a plain one";
  conv_.loads = true;
  EXPECT_THAT(tune_key(backend_, query_), HasSubstr("norm on load"));
  query_.pass = Pass::forward;
  EXPECT_THAT(tune_key(backend_, query_), HasSubstr("norm on load"));
  query_.pass = Pass::backward_data;
  EXPECT_THAT(tune_key(backend_, query_), Not(HasSubstr("norm on load")));
  const auto names = offer_names(backend_, {offer("a", 1), offer("a", 1), offer("b", 1)});
  EXPECT_EQ(names[0] + " #2", names[1]);
}

/// Two kernels for everything, and all that a plan may join for training.
struct TwiceJoining final : ForwardingBackend {
  using ForwardingBackend::ForwardingBackend;
  bool measurable() const override { return true; }
  bool norms_with_sum(DType) const override { return true; }
  bool statistics_of_convs(DType) const override { return true; }
  bool loads_norms(DType) const override { return true; }
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    std::vector<KernelOffer> twice = inner_.offers(query, reason);
    if (!twice.empty()) twice.push_back(twice[0]);
    if (!twice.empty()) twice.back().fused = true;
    return twice;
  }
};

// Whatever a kernel reads and writes beside its tensors is there when it is measured.
TEST(ChooseJoined, MeasuresConvolutionsWithTheirStatistics) {
  const BackendPtr ref = make_ref_backend();
  TwiceJoining backend(*ref);
  const Graph graph = resnet_block_net();
  ChooserOptions options;
  options.mode = TuneMode::on;
  KernelChooser chooser(backend, options);
  PlanRequest request;
  request.batch = 4;
  request.keep = {graph.loss};
  ParamLayouts layouts(graph.params.size());
  // Both ways are measured, and one of them is then planned.
  const Plan plan = make_plan(graph, backend, request, layouts, chooser.chooser(),
                              [&](const auto& apart, const auto& joined) {
                                chooser.join(apart, joined);
                                return true;
                              });
  for (const PlanStep& step : plan.steps) {
    const bool conv = step.op.find("conv") == 0;
    EXPECT_TRUE(!conv || step.measured_seconds > 0.0) << step.layer;
  }
  int statistics = 0, sums = 0, on_load = 0;
  for (const auto& [key, kernel] : chooser.choices()) {
    statistics += key.find("with statistics") != std::string::npos;
    sums += key.find("summed up") != std::string::npos;
    on_load += key.find("norm on load") != std::string::npos;
  }
  EXPECT_EQ(statistics, 2 + 1) << "and where norm and convolution were to be joined";
  EXPECT_EQ(sums, 1);
  EXPECT_EQ(on_load, 2 + 1);
}

void upload_something(Executor& executor, PlanId plan) {
  Draws draws(1, Purpose::synthetic, 0, 0);
  for (const GraphInput& input : executor.graph().inputs) {
    const TensorId tensor = executor.plan(plan).value_tensor[input.value];
    const TensorDesc& desc = executor.plan(plan).tensors[tensor].desc;
    std::vector<float> values(static_cast<std::size_t>(desc.shape.count()));
    for (float& value : values) value = draws.uniform(-1.0f, 1.0f);
    std::vector<std::int32_t> labels(values.size(), 1);
    const void* data = desc.dtype == DType::i32 ? static_cast<const void*>(labels.data())
                                                : static_cast<const void*>(values.data());
    executor.upload(plan, input.role, data, desc.bytes);
  }
}

// Every choice trains alike: real kernels, whatever was measured.
class ChooseCpu : public testing::TestWithParam<int> {};

TEST_P(ChooseCpu, MeasuredPlansComputeTheSame) {
  const BackendPtr backend = make_cpu_backend(GetParam());
  test::TempFolder folder;
  ChooserOptions options;
  options.mode = TuneMode::on;
  options.cache = folder / "tune.json";
  for (const Graph& graph : small_nets()) {
    std::vector<double> losses;
    for (const bool tuned : {false, true}) {
      KernelChooser chooser(*backend, options);
      Executor executor(graph, *backend);
      PlanRequest request;
      request.batch = 8;
      request.keep = {graph.loss};
      const PlanId plan = executor.add_plan(request, tuned ? chooser.chooser() : OfferChooser());
      chooser.finish();
      executor.prepare();
      executor.initialize(1);
      upload_something(executor, plan);
      executor.forward(plan);
      executor.backward(plan);
      losses.push_back(executor.read_scalar(plan, graph.loss));
    }
    EXPECT_NEAR(losses[0], losses[1], 1e-4 * losses[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ChooseCpu, testing::Values(1, 2, 3, 4));

// Results depend on the thread count and the kernels, and on nothing else.
TEST_P(ChooseCpu, TwoRunsAreEqualBitForBit) {
  for (const Graph& graph : small_nets()) {
    std::vector<std::vector<float>> weights[2];
    for (auto& of_run : weights) {
      const BackendPtr backend = make_cpu_backend(GetParam());
      Executor executor(graph, *backend);
      PlanRequest request;
      request.batch = 16;
      request.keep = {graph.loss};
      const PlanId plan = executor.add_plan(request);
      executor.prepare();
      executor.initialize(1);
      executor.set_optimizer({});
      const std::vector<ParamKnobs> knobs(graph.params.size());
      executor.set_groups(executor.params().groups(knobs));
      executor.scalars().lr = 0.1f;
      executor.scalars().momentum = 0.9f;
      upload_something(executor, plan);
      for (int step = 0; step < 3; ++step) {
        executor.send_scalars();
        executor.forward(plan);
        executor.backward(plan);
        executor.gradient_norm();
        executor.update();
      }
      for (std::size_t p = 0; p < graph.params.size(); ++p) {
        of_run.push_back(executor.params().read_weight(static_cast<ParamId>(p)));
      }
    }
    EXPECT_EQ(weights[0], weights[1]);
  }
}

}  // namespace
}  // namespace daybreak
