#include "train/evaluator.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "layers/build_graph.h"
#include "support/recording_backend.h"
#include "support/temp_folder.h"
#include "train/session.h"

namespace daybreak {
namespace {

TEST(Views, WeighOneInAll) {
  for (const Views views : {Views::none, Views::flip, Views::shift}) {
    double sum = 0.0;
    for (const View& view : views_of(views)) sum += view.weight;
    EXPECT_EQ(sum, 1.0);
  }
  EXPECT_EQ(views_of(Views::none).size(), 1u);
  EXPECT_EQ(views_of(Views::flip).size(), 2u);
  EXPECT_EQ(views_of(Views::shift).size(), 6u);
}

// [y, x] of a picture of one channel, beyond its edges reflected without the edge.
int pixel(const std::vector<std::uint8_t>& picture, int side, int y, int x) {
  const auto inside = [side](int i) { return i < 0 ? -i : i >= side ? 2 * side - 2 - i : i; };
  return picture[static_cast<std::size_t>(inside(y) * side + inside(x))];
}

// The mean probabilities over views, by hand, of a linear classifier on synthetic pictures.
TEST(Evaluate, AveragesProbabilitiesOverViews) {
  test::TempFolder folder;
  test::write_text(folder / "net.yaml",
                   "input: {channels: 1, height: 6, width: 6, mean: [0.5], std: [0.25]}\n"
                   "layers: [{linear: {name: l, outputs: 4}}, softmax_loss]\n");
  test::write_text(
      folder / "s.yaml",
      "net: net.yaml\ndata: {name: s, sources: [synthetic], train_limit: 16, test_limit: 7, "
      "classes: [a, b, c, d]}\nbatch: 4\nlr: 0.1\nlength: 1e\ndevice: ref\n");
  SessionOptions options;
  options.threads = 1;
  Session session(load_solver(folder / "s.yaml", {}), options);
  Executor& executor = session.executor();
  const std::vector<float> w = executor.params().read_weight(0);
  Evaluator evaluator(executor, session.eval_plan(), session.validation(), session.eval_loader());
  for (const Views views : {Views::none, Views::flip, Views::shift}) {
    EvaluateOptions evaluate_options;
    evaluate_options.views = views;
    const ClassificationResult found = evaluator.evaluate(evaluate_options);
    double loss = 0.0;
    for (std::int64_t n = 0; n < session.validation().size(); ++n) {
      const Image picture = session.validation().load(n);
      double mean = 0.0;
      for (const View& view : views_of(views)) {
        std::vector<double> scores(4, 0.0);
        for (int y = 0; y < 6; ++y) {
          for (int x = 0; x < 6; ++x) {
            const int shown = view.mirrored ? 5 - x : x;
            const double value =
                (pixel(picture.hwc, 6, y - view.dy, shown - view.dx) / 255.0 - 0.5) / 0.25;
            for (int k = 0; k < 4; ++k) scores[k] += w[k * 36 + y * 6 + x] * value;
          }
        }
        double sum = 0.0;
        for (const double score : scores) sum += std::exp(score);
        mean += view.weight * std::exp(scores[session.validation().label(n)]) / sum;
      }
      loss -= std::log(mean);
    }
    EXPECT_EQ(found.n, 7);
    EXPECT_NEAR(found.loss, loss / 7.0, 1e-4 * (1.0 + loss)) << static_cast<int>(views);
  }
}

// What an evaluation on a GPU will be, by the backend that notes kernels: LeNet, with plans for
// training and evaluation, over pictures of noise.
constexpr int kBatch = 4, kSamples = 22;

NetworkSpec lenet() {
  NetworkSpec net = load_network("builtin:cfg/net/lenet.yaml");
  net.input.mean.assign(static_cast<std::size_t>(net.input.channels), 0.5);
  net.input.std.assign(static_cast<std::size_t>(net.input.channels), 0.25);
  return net;
}

Dataset noise(int side) {
  auto store = std::make_shared<PictureStore>();
  store->channels = lenet().input.channels;
  store->in_memory = true;
  store->width = store->height = side;
  for (int c = 0; c < 10; ++c) store->classes.push_back(std::to_string(c));
  Draws draws(9, Purpose::synthetic, 1, 0);
  for (int i = 0; i < kSamples; ++i) {
    store->labels.push_back(static_cast<std::int32_t>(draws.below(10)));
    for (int p = 0; p < side * side * store->channels; ++p) {
      store->pixels.push_back(static_cast<std::uint8_t>(draws.below(256)));
    }
  }
  return Dataset(store);
}

struct Rig {
  explicit Rig(Backend& backend, int side = lenet().input.height,
               std::uint64_t score_bytes = std::uint64_t{1} << 20)
      : data(noise(side)), executor(build_graph(lenet(), {.classes = 10}), backend) {
    PlanRequest request;
    const Graph& graph = executor.graph();
    request.batch = kBatch;
    request.keep = {graph.loss, graph.prediction};
    train = executor.add_plan(request);
    request.mode = Mode::eval;
    request.keep = {graph.prediction};
    eval = executor.add_plan(request);
    executor.prepare();
    executor.initialize(1);
    executor.set_optimizer({});
    executor.set_groups(executor.params().groups(std::vector<ParamKnobs>(graph.params.size())));
    executor.scalars().lr = 0.01f;
    LoaderOptions options;
    options.batch = kBatch;
    options.height = options.width = lenet().input.height;
    options.shuffle = false;
    options.last_batch = LastBatch::keep;
    options.workers = 0;
    evaluator = std::make_unique<Evaluator>(executor, eval, data, options, score_bytes);
    runner = std::make_unique<StepRunner>(executor);
  }

  double step(int seed) {
    const Graph& graph = executor.graph();
    const Shape& shape = executor.plan(train).shapes[graph.input(InputRole::image)];
    std::vector<std::uint8_t> pictures(static_cast<std::size_t>(shape.count()));
    Draws draws(3, Purpose::synthetic, static_cast<std::uint64_t>(seed), 0);
    for (std::uint8_t& value : pictures) value = static_cast<std::uint8_t>(draws.below(256));
    const std::vector<std::int32_t> labels = {seed % 10, 3, 7, 1};
    executor.upload(train, InputRole::image, pictures.data(), pictures.size());
    executor.upload(train, InputRole::labels, labels.data(), labels.size() * sizeof(labels[0]));
    runner->queue({train});
    return runner->read().front().loss;
  }
  ClassificationResult evaluate(Views views) {
    EvaluateOptions options;
    options.views = views;
    options.keep_mistakes = 5;
    options.progress = [this](std::int64_t done) { reports.push_back(done); };
    return evaluator->evaluate(options);
  }

  Dataset data;
  Executor executor;
  PlanId train = -1, eval = -1;
  std::unique_ptr<Evaluator> evaluator;
  std::unique_ptr<StepRunner> runner;
  std::vector<std::int64_t> reports;
};

void expect_same(const ClassificationResult& actual, const ClassificationResult& expected) {
  EXPECT_EQ(actual.n, kSamples);
  EXPECT_EQ(actual.loss, expected.loss);
  EXPECT_EQ(actual.top1, expected.top1);
  EXPECT_EQ(actual.top5, expected.top5);
  EXPECT_EQ(actual.confusion, expected.confusion);
  ASSERT_EQ(actual.mistakes.size(), expected.mistakes.size());
  for (std::size_t i = 0; i < actual.mistakes.size(); ++i) {
    EXPECT_EQ(actual.mistakes[i].index, expected.mistakes[i].index);
  }
}

// Pictures that live on the device, and such that are resized by the host and uploaded.
TEST(Evaluator, RecordedBatchesGiveTheBitsOfPlainOnes) {
  const BackendPtr cpu = make_cpu_backend(1);
  for (const int side : {lenet().input.height, lenet().input.height + 5}) {
    SCOPED_TRACE(side);
    RecordingBackend device(*cpu);
    Rig plain(*cpu, side), recorded(device, side);
    for (int round = 0; round < 3; ++round) {
      for (const Views views : {Views::none, Views::flip, Views::shift}) {
        SCOPED_TRACE(static_cast<int>(views));
        expect_same(recorded.evaluate(views), plain.evaluate(views));
      }
      EXPECT_EQ(recorded.step(round), plain.step(round)) << "training goes on as before";
    }
    EXPECT_EQ(recorded.evaluator->recorded(), 6) << "a recording a view";
    EXPECT_EQ(device.violations, std::vector<std::string>{});
  }
}

TEST(Evaluator, WhatLivesOnTheDeviceIsReadOnce) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend device(*cpu);
  Rig rig(device);
  rig.evaluate(Views::none);
  const int sent = device.sent, read = device.read_back, waits = device.waits;
  const int run = device.kernels_run, replays = device.replays;
  rig.evaluate(Views::none);
  constexpr int kBatches = (kSamples + kBatch - 1) / kBatch;
  EXPECT_EQ(device.read_back - read, 1);
  EXPECT_EQ(device.waits - waits, 1);
  EXPECT_EQ(device.sent - sent, kBatches) << "scalars of each batch, no picture";
  EXPECT_EQ(device.kernels_run, run) << "a kernel ran outside of the recording";
  EXPECT_EQ(device.replays - replays, kBatches);
  EXPECT_EQ(rig.reports, (std::vector<std::int64_t>{kSamples, kSamples}));
}

TEST(Evaluator, ScoresAreReadInPiecesWhereTheyAreMany) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend device(*cpu);
  constexpr std::uint64_t kTwoBatches = 2 * kBatch * 10 * sizeof(float);
  Rig plain(*cpu), pieces(device, lenet().input.height, kTwoBatches + 1);
  for (const Views views : {Views::none, Views::shift}) {
    expect_same(pieces.evaluate(views), plain.evaluate(views));
  }
  EXPECT_EQ(pieces.reports, (std::vector<std::int64_t>{8, 16, 22, 8, 16, 22}));
  EXPECT_EQ(plain.reports.size(), 12u) << "the CPU reports every batch";
}

TEST(Evaluator, WhereNothingCanBeRecordedEveryKernelRuns) {
  const BackendPtr cpu = make_cpu_backend(1);
  RecordingBackend refusing(*cpu);
  refusing.refuses = true;
  Rig plain(*cpu), other(refusing);
  for (int round = 0; round < 2; ++round) {
    expect_same(other.evaluate(Views::flip), plain.evaluate(Views::flip));
  }
  EXPECT_EQ(refusing.replays, 0);
}

}  // namespace
}  // namespace daybreak
