#include "train/batch_feeder.h"

#include <gtest/gtest.h>

#include "data/augmenter.h"
#include "layers/build_graph.h"
#include "support/recording_backend.h"
#include "train/session.h"
#include "train/supervised.h"

namespace daybreak {
namespace {

// Pictures of noise, all different.
Dataset noise(int samples, int side, int channels) {
  auto store = std::make_shared<PictureStore>();
  store->channels = channels;
  store->in_memory = true;
  store->width = store->height = side;
  for (int c = 0; c < 10; ++c) store->classes.push_back(std::to_string(c));
  Draws draws(9, Purpose::synthetic, 0, 0);
  for (int i = 0; i < samples; ++i) {
    store->labels.push_back(static_cast<std::int32_t>(draws.below(10)));
    for (int p = 0; p < side * side * channels; ++p) {
      store->pixels.push_back(static_cast<std::uint8_t>(draws.below(256)));
    }
  }
  return Dataset(store);
}

LoaderOptions options_for(int batch, int side, std::vector<TransformSpec> transforms) {
  LoaderOptions options;
  options.batch = batch;
  options.height = options.width = side;
  options.transforms = std::move(transforms);
  options.mean_colour = {11, 22, 33};
  options.seed = 0x123456789ull;
  options.repeat = true;
  options.workers = 0;
  return options;
}

// A picture as the device makes it.
std::vector<std::uint8_t> made(const BatchRecipe& recipe, const Dataset& data, std::uint64_t epoch,
                               std::int64_t sample) {
  ReadScratch scratch;
  const PictureView picture = data.picture(sample, scratch);
  const BatchDraws draws = draw_batch_sample(recipe, epoch, static_cast<std::uint64_t>(sample));
  std::vector<std::uint8_t> out;
  for (int y = 0; y < recipe.height; ++y) {
    for (int x = 0; x < recipe.width; ++x) {
      const BatchPixel pixel = batch_pixel(recipe, draws, x, y);
      for (int c = 0; c < recipe.channels; ++c) {
        const std::uint8_t value = picture.pixels[(pixel.y * picture.w + pixel.x) * picture.c + c];
        out.push_back(pixel.from == BatchPixel::picture  ? value
                      : pixel.from == BatchPixel::colour ? recipe.colour[c]
                                                         : std::uint8_t{0});
      }
    }
  }
  return out;
}

// Every border, more than once over, forms of both programs, in all orders that matter.
TEST(BatchRecipe, PicturesAreTheAugmentersByteForByte) {
  constexpr int kSide = 9;
  std::vector<std::vector<TransformSpec>> lists = {{}};
  for (const BorderMode mode :
       {BorderMode::zero, BorderMode::edge, BorderMode::symmetric, BorderMode::reflect}) {
    const bool bounded = mode == BorderMode::symmetric || mode == BorderMode::reflect;
    for (const int pad : {0, 1, 4, bounded ? 8 : 30}) {
      for (const bool compat : {false, true}) {
        lists.push_back({PadCrop{pad, mode, compat}});
        lists.push_back({PadCrop{pad, mode, compat}, Flip{}, Cutout{.size = 4}});
        lists.push_back({Cutout{.size = 5, .p = 0.7}, Flip{.p = 0.3, .vertical = true},
                         PadCrop{pad, mode, compat}, Flip{.alternate = true}});
        lists.push_back({PadCrop{pad, mode}, PadCrop{3, BorderMode::zero}, Cutout{.size = 20},
                         PadCrop{pad, mode}});
      }
    }
  }
  lists.push_back({Flip{.vertical = true, .alternate = true}, Flip{.alternate = true}});
  for (const int channels : {1, 3}) {
    const Dataset data = noise(12, kSide, channels);
    for (std::size_t i = 0; i < lists.size(); ++i) {
      LoaderOptions options = options_for(4, kSide, lists[i]);
      options.mean_colour.resize(static_cast<std::size_t>(channels));
      const std::optional<BatchRecipe> recipe = batch_recipe(data, options);
      ASSERT_TRUE(recipe) << i;
      const Augmenter augmenter(
          lists[i], {kSide, kSide, channels, options.fit, options.seed, options.mean_colour, 0.2});
      AugmentScratch scratch;
      ReadScratch read;
      for (std::int64_t sample = 0; sample < data.size(); ++sample) {
        for (const std::int64_t epoch : {0, 1, 7}) {
          std::vector<std::uint8_t> expected(static_cast<std::size_t>(kSide * kSide * channels));
          augmenter.apply(data.picture(sample, read), epoch, sample, scratch, expected.data());
          ASSERT_EQ(made(*recipe, data, static_cast<std::uint64_t>(epoch), sample), expected)
              << "list " << i << ", sample " << sample << ", epoch " << epoch;
        }
      }
    }
  }
}

TEST(BatchRecipe, OnlyWhatMovesPixelsIsMadeOnTheDevice) {
  const Dataset data = noise(8, 6, 3);
  EXPECT_TRUE(batch_recipe(data, options_for(4, 6, {Flip{}})));
  EXPECT_FALSE(batch_recipe(data, options_for(4, 6, {ColorJitter{}})));
  EXPECT_FALSE(batch_recipe(data, options_for(4, 6, {Rotate{}})));
  EXPECT_FALSE(batch_recipe(data, options_for(4, 8, {}))) << "another size than the pictures'";
  EXPECT_FALSE(batch_recipe(data, options_for(4, 6, std::vector<TransformSpec>(9, Flip{}))));
  EXPECT_FALSE(batch_recipe(Dataset(), options_for(4, 6, {})));
}

NetworkSpec small_net() {
  NetworkSpec net = load_network("builtin:cfg/net/lenet.yaml");
  net.input.mean.assign(static_cast<std::size_t>(net.input.channels), 0.5);
  net.input.std.assign(static_cast<std::size_t>(net.input.channels), 0.25);
  return net;
}

struct Rig {
  Rig(Backend& backend, int batch, int last)
      : executor(build_graph(small_net(), {.classes = 10}), backend) {
    const Graph& graph = executor.graph();
    PlanRequest request;
    request.keep = {graph.loss, graph.prediction, graph.topk};
    request.batch = batch;
    plans.push_back(
        {small_net().input.height, small_net().input.width, executor.add_plan(request), -1});
    if (last > 0) {
      request.batch = last;
      plans[0].partial = executor.add_plan(request);
    }
    executor.prepare();
    executor.prepare_accumulation();
    executor.initialize(1);
    executor.set_optimizer({});
    executor.set_groups(
        executor.params().groups(std::vector<ParamKnobs>(executor.graph().params.size())));
  }
  Executor executor;
  StepPlans plans;
};

// The whole of it: batches of the loader and steps one by one on the CPU; batches made on the
// device and steps queued and replayed on the other side. Four epochs with a smaller last batch.
TEST(ResidentFeeder, TrainsToTheBitsOfTheLoader) {
  const InputSpec input = small_net().input;
  constexpr int kBatch = 4, kSamples = 22;
  const Dataset data = noise(kSamples, input.height, input.channels);
  LoaderOptions options = options_for(kBatch, input.height,
                                      {PadCrop{2, BorderMode::reflect}, Flip{}, Cutout{.size = 6}});
  options.mean_colour.resize(static_cast<std::size_t>(input.channels));
  options.last_batch = LastBatch::keep;
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend device(*cpu);
  for (const int parts : {1, 2}) {
    SCOPED_TRACE(parts);
    Rig here(*cpu, kBatch, kSamples % kBatch), there(device, kBatch, kSamples % kBatch);
    const auto host = make_host_feeder(data, options);
    const ResidentData resident(data, device);
    const auto on_device = make_resident_feeder(
        resident, data, options, batch_recipe(data, options).value(), there.executor);
    host->start(0, 8);
    on_device->start(0, 8);
    Supervised plain(here.executor), queued(there.executor);
    std::vector<StepReport> expected, actual;
    StepKnobs knobs;
    knobs.momentum = 0.9;
    knobs.micro_batches = parts;
    for (int step = 0; step < 24; ++step) {
      knobs.lr = 0.01 + 0.001 * step;
      knobs.step = static_cast<std::uint64_t>(step);
      expected.push_back(plain.step(here.plans, *host, knobs));
      queued.queue(there.plans, *on_device, knobs);
    }
    actual = queued.collect();
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      EXPECT_EQ(actual[i].loss, expected[i].loss) << i;
      EXPECT_EQ(actual[i].correct, expected[i].correct) << i;
      EXPECT_EQ(actual[i].samples, expected[i].samples) << i;
      EXPECT_EQ(actual[i].update, expected[i].update) << i;
    }
    EXPECT_EQ(device.violations, std::vector<std::string>{});
    EXPECT_LE(queued.runner().recorded(), 2 * (parts == 1 ? 1 : 2)) << "a plan and a part each";
    for (std::size_t p = 0; p < here.executor.graph().params.size(); ++p) {
      EXPECT_EQ(there.executor.params().read_weight(static_cast<ParamId>(p)),
                here.executor.params().read_weight(static_cast<ParamId>(p)));
    }
  }
}

// Between two epochs the host sends scalars and the next order, nothing else.
TEST(ResidentFeeder, AStepSendsItsScalarsOnly) {
  const InputSpec input = small_net().input;
  const Dataset data = noise(16, input.height, input.channels);
  LoaderOptions options = options_for(4, input.height, {Flip{}});
  options.mean_colour.resize(static_cast<std::size_t>(input.channels));
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend device(*cpu);
  Rig rig(device, 4, 0);
  const ResidentData resident(data, device);
  const auto feeder = make_resident_feeder(resident, data, options,
                                           batch_recipe(data, options).value(), rig.executor);
  feeder->start(0, 0);
  Supervised recipe(rig.executor);
  StepKnobs knobs;
  knobs.lr = 0.01;
  for (int step = 0; step < 4; ++step) recipe.queue(rig.plans, *feeder, knobs);
  const int sent = device.sent, read = device.read_back;
  for (int step = 0; step < 4; ++step) recipe.queue(rig.plans, *feeder, knobs);
  EXPECT_EQ(device.sent - sent, 4 + 1) << "scalars of four steps, one order";
  EXPECT_EQ(device.read_back, read);
  EXPECT_EQ(recipe.collect().size(), 8u);
}

}  // namespace
}  // namespace daybreak
