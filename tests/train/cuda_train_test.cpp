// Whole networks on the GPU against the CPU: gradients, loss curves, checkpoints, equal bits. As
// cuda_test, the binary says how many tests were not run where there is no GPU, and ends with 0.
// With --on-cpu the CPU takes the GPU's place: that tries the tests themselves.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "backend/module.h"
#include "data/sampler.h"
#include "layers/build_graph.h"
#include "support/forwarding_backend.h"
#include "support/train_rig.h"
#include "train/batch_feeder.h"
#include "train/device.h"
#include "train/evaluator.h"
#include "train/session.h"
#include "train/weights.h"
#include "train_device.h"

namespace daybreak {
namespace {

constexpr const char* kSeedNet = "cfg/net/cifar10-darknet.yaml";
constexpr const char* kResNet = "cfg/net/cifar10-resnet18.yaml";
constexpr const char* kHalfNet = "cfg/net/cifar10-darknet-half.yaml";
constexpr const char* kSmallNet = "cfg/net/lenet.yaml";
constexpr int kCurveSteps = 50;

Backend& cpu() {
  static const BackendPtr backend = make_cpu_backend(0);
  return *backend;
}

LossScaling scaling_for(DType dtype) {
  return {.on = dtype == DType::f16};
}

TEST(CudaTraining, TheProbeOfAutoPasses) {
  EXPECT_NO_THROW(check_backend_works(cuda()));
}

// Leaky relu in front of residual sums, and relu behind them.
TEST(CudaTraining, FirstStepGradients) {
  for (const char* net : {kSeedNet, kResNet}) {
    SCOPED_TRACE(net);
    TrainRig here(net, cpu(), {.batch = 16}), there(net, cuda(), {.batch = 16});
    const double expected = here.forward_backward(0), actual = there.forward_backward(0);
    EXPECT_NEAR(actual, expected, 1e-4 * expected);
    const GradientDifference difference = compare_gradients(there.executor(), here.executor());
    std::printf("gradients: f32 %s whole %.2e, worst %.2e (%s)\n", net, difference.whole,
                difference.worst, difference.worst_name.c_str());
    EXPECT_LE(difference.whole, 1e-3);
    EXPECT_LE(difference.worst, 5e-3) << difference.worst_name;
  }
}

/// The GPU with plans whose norms keep their input.
class KeepingInputs final : public ForwardingBackend {
 public:
  KeepingInputs() : ForwardingBackend(cuda()) {}
  bool norms_in_place(DType) const override { return false; }
};

// The first gradients of the seed network, beside those of `expected`.
GradientDifference first_gradients(Backend& backend, DType dtype, Executor& expected, double loss) {
  LossScaling scaling = scaling_for(dtype);
  scaling.scale = 128.0f;  // nothing overflows, so that every gradient can be compared
  TrainRig rig(kSeedNet, backend, {.dtype = dtype, .batch = 16, .scaling = scaling});
  EXPECT_NEAR(rig.forward_backward(0), loss, 2e-2 * loss);
  return compare_gradients(rig.executor(), expected);
}

// Sixteen bits through 38 convolutions: the direction must be that of f32, and the length nearly
// so; what norms find again from their output must not add to it.
TEST(CudaTraining, FirstStepGradientsInSixteenBits) {
  TrainRig here(kSeedNet, cuda(), {.batch = 16});
  const double loss = here.forward_backward(0);
  KeepingInputs keeping;
  for (const DType dtype : {DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    const GradientDifference there = first_gradients(cuda(), dtype, here.executor(), loss),
                             kept = first_gradients(keeping, dtype, here.executor(), loss);
    std::printf("gradients: %s whole %.2e (norms keeping their input %.2e), cosine %.4f\n",
                to_string(dtype), there.whole, kept.whole, there.cosine);
    // The emulated GPU, where products and sums are exact, gives 0.89 in bf16, in place or not:
    // with random weights every norm of the 38 amplifies what was rounded before it.
    EXPECT_GE(there.cosine, dtype == DType::bf16 ? 0.85 : 0.97);
    EXPECT_LE(there.whole, 1.2 * kept.whole);
  }
}

// cuDNN's engines that measure, and that go on through norms, instead of own kernels behind them.
TEST(CudaTraining, EnginesThatFuseGiveTheGradientsOfTheirParts) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    LossScaling scaling = scaling_for(dtype);
    scaling.scale = 128.0f;
    int taken = 0;
    const auto choose = [&](const KernelQuery&, const std::vector<KernelOffer>& offers) {
      const auto fuses = [](const KernelOffer& o) { return o.name.find('+') != std::string::npos; };
      const auto found = std::find_if(offers.begin(), offers.end(), fuses);
      taken += found != offers.end();
      return OfferChoice(found == offers.end() ? 0 : found - offers.begin());
    };
    TrainRig parts(kResNet, cuda(), {.dtype = dtype, .batch = 16, .scaling = scaling});
    TrainRig fused(kResNet, cuda(),
                   {.dtype = dtype, .batch = 16, .scaling = scaling, .choose = choose});
    const double expected = parts.forward_backward(0), actual = fused.forward_backward(0);
    EXPECT_NEAR(actual, expected, 1e-2 * expected);
    const GradientDifference difference = compare_gradients(fused.executor(), parts.executor());
    std::printf("engines: %s %d that fuse, gradients whole %.2e, cosine %.5f\n", to_string(dtype),
                taken, difference.whole, difference.cosine);
    EXPECT_GE(difference.cosine, 0.99);
  }
}

std::vector<double> loss_curve(Backend& backend, DType dtype) {
  TrainRig rig(kHalfNet, backend, {.dtype = dtype, .batch = 32, .scaling = scaling_for(dtype)});
  std::vector<double> losses;
  for (int i = 0; i < kCurveSteps; ++i) losses.push_back(rig.step());
  std::printf("curve: %s %s first %.4f last %.4f, %u skipped\n", backend.name().c_str(),
              to_string(dtype), losses.front(), losses.back(),
              rig.executor().read_scalars().skipped);
  return losses;
}

// Mean over ten steps: single losses drift apart as rounding errors grow.
double mean(const std::vector<double>& losses, int begin) {
  double sum = 0.0;
  for (int i = begin; i < begin + 10; ++i) sum += losses[i];
  return sum / 10.0;
}

TEST(CudaTraining, LossCurvesOfFiftyStepsAgree) {
  const std::vector<double> expected = loss_curve(cpu(), DType::f32);
  EXPECT_LT(mean(expected, 40), 0.7 * expected[0]) << "the network has not learned";
  const struct {
    DType dtype;
    double first, curve;
  } kRows[] = {{DType::f32, 1e-3, 0.05}, {DType::bf16, 2e-2, 0.15}, {DType::f16, 5e-3, 0.15}};
  for (const auto& row : kRows) {
    SCOPED_TRACE(to_string(row.dtype));
    const std::vector<double> actual = loss_curve(cuda(), row.dtype);
    EXPECT_NEAR(actual[0], expected[0], row.first * expected[0]);
    // Scaled training begins with skipped steps, so its curve lags by a few.
    if (row.dtype == DType::f16) {
      EXPECT_LT(mean(actual, 40), 0.8 * expected[0]);
      continue;
    }
    for (int begin = 0; begin < kCurveSteps; begin += 10) {
      EXPECT_NEAR(mean(actual, begin), mean(expected, begin), row.curve * expected[0]) << begin;
    }
  }
}

TEST(CudaTraining, CheckpointsMoveBetweenDevices) {
  TrainRig here(kHalfNet, cpu(), {}), there(kHalfNet, cuda(), {});
  for (int i = 0; i < 3; ++i) here.step();
  write_weights(there.executor(), "cpu", read_weights(here.executor()), /*partial=*/false);
  write_slots(there.executor(), "cpu", read_slots(here.executor()));
  EXPECT_EQ(weights_digest(there.executor()), weights_digest(here.executor())) << "bits were lost";
  const std::vector<float> expected = here.predict(5), actual = there.predict(5);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-3f + 1e-3f * std::abs(expected[i])) << i;
  }
  there.executor().scalars().update = here.executor().scalars().update;
  there.step();
  write_weights(here.executor(), "cuda", read_weights(there.executor()), /*partial=*/false);
  write_slots(here.executor(), "cuda", read_slots(there.executor()));
  EXPECT_EQ(weights_digest(here.executor()), weights_digest(there.executor())) << "bits were lost";
  EXPECT_TRUE(std::isfinite(here.step()));
}

TEST(CudaTraining, EqualRunsGiveEqualBits) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    std::string digests[3];
    for (std::string& digest : digests) {
      TrainRig rig(kHalfNet, cuda(), {.dtype = dtype, .batch = 16, .scaling = scaling_for(dtype)});
      for (int i = 0; i < 5; ++i) rig.step();
      digest = weights_digest(rig.executor());
    }
    EXPECT_EQ(digests[0], digests[1]);
    EXPECT_EQ(digests[0], digests[2]);
  }
}

// Kernel by kernel with a look at every loss, and queued and replayed.
void compare_recorded(const char* net) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    if (!cuda().supports(dtype)) continue;
    SCOPED_TRACE(to_string(dtype));
    const TrainRig::Options options{.dtype = dtype, .batch = 16, .scaling = scaling_for(dtype)};
    TrainRig plain(net, cuda(), options), queued(net, cuda(), options);
    std::vector<double> expected, actual;
    for (int i = 0; i < 8; ++i) expected.push_back(plain.step());
    StepRunner runner(queued.executor());
    for (int i = 0; i < 8; ++i) queued.queue_step(runner);
    for (const StepRecord& record : runner.read()) actual.push_back(record.loss);
    EXPECT_EQ(actual, expected);
    EXPECT_EQ(weights_digest(queued.executor()), weights_digest(plain.executor()));
    EXPECT_EQ(runner.recorded(), cuda().can_record() ? 1 : 0);
  }
}

TEST(CudaTraining, RecordedStepsGiveTheBitsOfPlainOnes) {
  compare_recorded(kHalfNet);
}
TEST(CudaTraining, RecordedStepsOfASmallNetworkDoAsWell) {
  compare_recorded(kSmallNet);
}

// What the update kernel writes is what the cast kernel makes of the weights.
TEST(CudaTraining, RoundedWeightsAreTheWeights) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    if (!cuda().keeps_rounded_weights(dtype)) GTEST_SKIP() << "the CPU keeps none";
    SCOPED_TRACE(to_string(dtype));
    TrainRig rig(kSmallNet, cuda(), {.dtype = dtype, .batch = 4, .scaling = scaling_for(dtype)});
    StepRunner runner(rig.executor());
    for (int i = 0; i < 6; ++i) rig.queue_step(runner);
    EXPECT_LT(runner.read().back().skipped, 6u);
    ParamStore& params = rig.executor().params();
    ASSERT_EQ(params.rounded_bases().size(), 1u);
    const RoundedWeights kept = params.rounded_bases()[0];
    std::vector<std::uint16_t> written(params.trained_elements()), made(written.size());
    const std::size_t bytes = written.size() * sizeof(written[0]);
    cuda().copy_out(written.data(), kept.data, bytes);
    params.round_all();
    cuda().copy_out(made.data(), kept.data, bytes);
    EXPECT_TRUE(written == made);
  }
}

Dataset noise(int samples, int classes, int side, int channels) {
  auto store = std::make_shared<PictureStore>();
  store->in_memory = true;
  store->channels = channels;
  store->width = store->height = side;
  for (int c = 0; c < classes; ++c) store->classes.push_back(std::to_string(c));
  Draws draws(3, Purpose::synthetic, 0, 0);
  for (int i = 0; i < samples; ++i) {
    store->labels.push_back(static_cast<int>(draws.below(static_cast<std::uint32_t>(classes))));
  }
  for (int i = 0; i < samples * side * side * channels; ++i) {
    store->pixels.push_back(static_cast<std::uint8_t>(draws.below(256)));
  }
  return Dataset(store);
}

// An untrained network over 20 pictures in batches of 8.
struct Evaluated {
  explicit Evaluated(Backend& backend) : executor(build_graph(net(), {.classes = 10}), backend) {
    PlanRequest request;
    request.mode = Mode::eval;
    request.batch = 8;
    request.keep = {executor.graph().prediction};
    const PlanId plan = executor.add_plan(request);
    executor.prepare();
    executor.initialize(7);
    LoaderOptions options;
    options.batch = 8;
    options.height = options.width = net().input.height;
    options.shuffle = false;
    options.last_batch = LastBatch::keep;
    options.workers = 0;
    evaluator = std::make_unique<Evaluator>(
        executor, plan, noise(kPictures, 10, net().input.height, net().input.channels), options);
  }
  static NetworkSpec net() {
    NetworkSpec net = load_network(kSmallNet);
    net.input.mean.assign(static_cast<std::size_t>(net.input.channels), 0.5);
    net.input.std.assign(static_cast<std::size_t>(net.input.channels), 0.25);
    return net;
  }
  static constexpr int kPictures = 20;
  Executor executor;
  std::unique_ptr<Evaluator> evaluator;
};

TEST(CudaTraining, RecordedEvaluationsAreTheCpus) {
  Evaluated here(cpu()), there(cuda());
  for (const Views views : {Views::none, Views::flip, Views::shift}) {
    SCOPED_TRACE(static_cast<int>(views));
    EvaluateOptions options;
    options.views = views;
    const ClassificationResult expected = here.evaluator->evaluate(options);
    const ClassificationResult first = there.evaluator->evaluate(options);
    EXPECT_EQ(first.n, Evaluated::kPictures);
    EXPECT_NEAR(first.loss, expected.loss, 1e-3 * expected.loss);
    EXPECT_NEAR(first.top1, expected.top1, 1.5 / Evaluated::kPictures)
        << "a picture may stand on the edge";
    EXPECT_EQ(there.evaluator->evaluate(options).loss, first.loss) << "replayed";
  }
  EXPECT_EQ(there.evaluator->recorded(), cuda().can_record() ? 6 : 0);
}

TEST(CudaTraining, BatchesMadeOnTheDeviceAreTheLoaders) {
  const Dataset data = noise(70, 2, 32, 3);
  LoaderOptions options;
  options.batch = 16;
  options.repeat = true;
  options.workers = 0;
  options.transforms = {PadCrop{}, Flip{}, Cutout{}};
  options.mean_colour = {1, 2, 3};
  const std::optional<BatchRecipe> recipe = batch_recipe(data, options);
  ASSERT_TRUE(recipe);
  const KernelPtr maker = cuda().batch_maker(*recipe);
  if (!maker) GTEST_SKIP() << "the CPU's batches are the loader's";
  const ResidentData resident(data, cuda());
  const MemoryPtr scalars = cuda().allocate(sizeof(StepScalars));
  const MemoryPtr pictures = cuda().allocate(16 * 32 * 32 * 3), labels = cuda().allocate(16 * 4);
  Loader loader(data, options);
  loader.start(2, 16);
  for (int i = 0; i < 6; ++i) {
    const Batch& batch = loader.next();
    std::vector<std::uint32_t> order;
    epoch_order(data.size(), options.seed, batch.epoch, true, order);
    cuda().send(resident.order(), order.data(), order.size() * 4);
    StepScalars step;
    step.epoch = static_cast<std::uint64_t>(batch.epoch);
    step.first_sample = static_cast<std::uint64_t>(batch.offset);
    cuda().send(scalars->data(), &step, sizeof(step));
    Bindings b;
    b.x = {resident.pictures(), resident.labels(), resident.order()};
    b.y = pictures->data();
    b.w = {labels->data()};
    b.scalars = reinterpret_cast<StepScalars*>(scalars->data());
    maker->run(b);
    std::vector<std::uint8_t> made(batch.images.size());
    std::vector<std::int32_t> made_labels(batch.labels.size());
    cuda().copy_out(made.data(), pictures->data(), made.size());
    cuda().copy_out(made_labels.data(), labels->data(), made_labels.size() * 4);
    EXPECT_TRUE(made == batch.images) << i;
    EXPECT_EQ(made_labels, batch.labels) << i;
  }
}

TEST(CudaTraining, ADynamicScaleFindsItsLevel) {
  TrainRig rig(kHalfNet, cuda(),
               {.dtype = DType::f16,
                .batch = 32,
                .scaling = {.on = true, .scale = 16777216.0f, .interval = 10}});
  for (int i = 0; i < 40; ++i) rig.step();
  const StepScalars& kept = rig.executor().read_scalars();
  std::printf("loss scale: %g after 40 steps, %u skipped\n", kept.loss_scale, kept.skipped);
  EXPECT_GT(kept.skipped, 0u) << "2^24 cannot fit into f16";
  EXPECT_LT(kept.loss_scale, 16777216.0f);
  EXPECT_GT(kept.loss_scale, 1.0f);
  EXPECT_TRUE(std::isfinite(rig.step()));
}

}  // namespace
}  // namespace daybreak

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  daybreak::on_cpu = argc > 1 && std::string(argv[1]) == "--on-cpu";
  std::string why;
  if (!daybreak::on_cpu && !testing::GTEST_FLAG(list_tests) && !daybreak::cuda_available(&why)) {
    std::printf("skipped: no CUDA device (%s); %d tests not run\n", why.c_str(),
                testing::UnitTest::GetInstance()->total_test_count());
    return 0;
  }
  return RUN_ALL_TESTS();
}
