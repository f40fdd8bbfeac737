#include "plan/traffic.h"

#include <gtest/gtest.h>

#include "graph/graph_builder.h"
#include "ops/act.h"
#include "ops/adaptive_avgpool.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/linear.h"
#include "ops/pool.h"
#include "ops/softmax_xent.h"
#include "plan/executor.h"
#include "plan/small_nets.h"

namespace daybreak {
namespace {

constexpr int kBatch = 2;

// conv a, norm, leaky, pool, conv b, global pool, head, loss; with `residual` another convolution
// behind b, and the sum of both behind that.
Graph chain(bool residual) {
  Graph graph;
  GraphBuilder b(&graph);
  ValueId value = b.graph_input(InputRole::image, {1, 2, 6, 6}, DType::f32, "image");
  const ValueId labels = b.graph_input(InputRole::labels, {1, 1, 1, 1}, DType::i32, "labels");
  const auto layer = [&](const char* name, auto op, std::vector<ValueId> inputs) {
    b.begin_layer(name, Mark{"test.yaml", 1, 1}, inputs);
    b.add(op, inputs);
    return value = b.end_layer();
  };
  layer("a", conv(4, 3, false), {value});
  layer("norm", BatchNorm{}, {value});
  Act leaky;
  leaky.act = {ActKind::leaky, 0.1f};
  layer("leaky", leaky, {value});
  layer("pool", Pool{}, {value});  // 6 x 6 to 3 x 3
  const ValueId skip = layer("b", conv(8, 1, true), {value});
  if (residual) {
    const ValueId body = layer("c", conv(8, 3, false), {skip});
    layer("sum", Add{}, {skip, body});
  }
  layer("gap", AdaptiveAvgPool{}, {value});
  Linear head;
  head.outputs = 3;
  graph.prediction = layer("head", head, {value});
  graph.classes = 3;
  graph.loss = layer("loss", SoftmaxXent{}, {graph.prediction, labels});
  return graph;
}

// Elements at batch 2.
constexpr std::uint64_t kImage = 144, kA = 288, kPooled = 72, kB = 144, kGap = 16, kHead = 6;
constexpr std::uint64_t kWeightsA = 72, kWeightsB = 32, kBiasB = 8, kWeightsC = 576;
constexpr std::uint64_t kWeightsHead = 24, kBiasHead = 3;

Plan plan_of(const Graph& graph, Backend& backend, Mode mode, DType dtype = DType::f32,
             std::vector<bool> frozen = {}) {
  PlanRequest request;
  request.mode = mode;
  request.batch = kBatch;
  request.dtype = dtype;
  request.frozen = std::move(frozen);
  request.keep = {graph.prediction};
  if (mode == Mode::train) request.keep.push_back(graph.loss);
  ParamLayouts layouts(graph.params.size());
  return make_plan(
      graph, backend, request, layouts,
      [](const KernelQuery&, const std::vector<KernelOffer>&) { return OfferChoice(0); });
}

TEST(Traffic, TheFloorOfAChainByHand) {
  const BackendPtr ref = make_ref_backend();
  const Graph graph = chain(/*residual=*/false);
  const Traffic train = plan_traffic(graph, plan_of(graph, *ref, Mode::train));
  // Inputs, weights, outputs. b reads what the pool leaves, and writes what the global pool leaves;
  // a writes all of its output, because the norm needs its statistics.
  EXPECT_EQ(train.forward.floor, 4 * ((kImage + kPooled + kGap) + (kWeightsA + kWeightsB + kBiasB) +
                                      (kWeightsHead + kBiasHead) + (kA + kGap + kHead)));
  // a: gradient, input, no gradient for the pictures. b and head: gradient, input and weights read,
  // two gradients written.
  EXPECT_EQ(
      train.backward.floor,
      4 * ((kA + kImage + kWeightsA) + (kGap + kPooled + kWeightsB + kPooled + kWeightsB + kBiasB) +
           (kHead + kGap + kWeightsHead + kGap + kWeightsHead + kBiasHead)));
  EXPECT_EQ(train.update.floor, 0u);
  // In evaluation the norm is a factor and an offset: a writes what the pool leaves.
  const Traffic eval = plan_traffic(graph, plan_of(graph, *ref, Mode::eval));
  EXPECT_EQ(eval.forward.floor, train.forward.floor - 4 * (kA - kPooled));
  EXPECT_EQ(eval.backward.floor, 0u);
}

TEST(Traffic, WhatTwoLayersReadCountsOnceAndSumsRideAlong) {
  const BackendPtr ref = make_ref_backend();
  const Graph plain = chain(false), residual = chain(true);
  const Traffic less = plan_traffic(plain, plan_of(plain, *ref, Mode::train));
  const Traffic more = plan_traffic(residual, plan_of(residual, *ref, Mode::train));
  // b has two readers now, so all of it is written; c reads it, and writes what the sum takes.
  EXPECT_EQ(more.forward.floor - less.forward.floor, 4 * ((kB - kGap) + kB + kWeightsC + kB));
  // b's gradient whole; c's gradient, input and weights, and both gradients it makes.
  EXPECT_EQ(more.backward.floor - less.backward.floor,
            4 * ((kB - kGap) + kB + kB + kWeightsC + kB + kWeightsC));
}

TEST(Traffic, FrozenLayersHaveNoBackwardPass) {
  const BackendPtr ref = make_ref_backend();
  const Graph graph = chain(false);
  std::vector<bool> frozen(graph.params.size());
  for (std::size_t p = 0; p < frozen.size(); ++p) {
    frozen[p] = graph.params[p].name.rfind("head", 0) != 0;
  }
  const Traffic traffic =
      plan_traffic(graph, plan_of(graph, *ref, Mode::train, DType::f32, frozen));
  EXPECT_EQ(traffic.backward.floor, 4 * (kHead + kGap + kWeightsHead + kBiasHead));
}

TEST(Traffic, SixteenBitsHalveAllButTheEndAndTheGradientsOfWeights) {
  const BackendPtr cpu = make_cpu_backend(1);
  if (!cpu->supports(DType::bf16)) GTEST_SKIP() << "skipped: no bf16: " << cpu->identity();
  const Graph graph = chain(false);
  const Traffic traffic = plan_traffic(graph, plan_of(graph, *cpu, Mode::train, DType::bf16));
  // The head computes in f32, from what was computed in 16 bits; pictures come as they are.
  EXPECT_EQ(traffic.forward.floor, 4 * kImage + 2 * (kWeightsA + kA + kPooled + kWeightsB) +
                                       2 * (kGap + kGap) +
                                       4 * (kBiasB + kWeightsHead + kBiasHead + kHead));
}

TensorDesc floats(int count) {
  return plain_desc({1, count, 1, 1}, DType::f32);
}

// A plan made by hand: y = f(x, x, w), z = reorder(y); backward: dx, dw from dz', and a sum.
TEST(Traffic, KernelsMoveEveryTensorOnceEachWay) {
  Graph graph;
  Plan plan;
  plan.request.mode = Mode::train;
  const auto tensor = [&](int count) {
    PlanTensor made;
    made.desc = floats(count);
    plan.tensors.push_back(made);
    return static_cast<TensorId>(plan.tensors.size()) - 1;
  };
  const TensorId x = tensor(10), w = tensor(100), y = tensor(1000), aux = tensor(7);
  const TensorId z = tensor(1000), scratch = tensor(5000), dy = tensor(1000), dx = tensor(10);
  const TensorId dw = tensor(100);
  PlanStep forward;
  forward.x = {x, x};
  forward.w = {w};
  forward.y = y;
  forward.aux = aux;
  forward.workspace = scratch;
  PlanStep reorder;
  reorder.kind = StepKind::reorder;
  reorder.x = {y};
  reorder.y = z;
  PlanStep backward;
  backward.pass = Pass::backward;
  backward.x = {x, kNone};
  backward.dx = {dx, kNone};
  backward.dw = {dw};
  backward.dy = dy;
  backward.aux = aux;
  PlanStep sum;
  sum.kind = StepKind::accumulate;
  sum.pass = Pass::backward;
  sum.x = {dx};
  sum.y = x;
  plan.steps = {forward, reorder, backward, sum};
  plan.forward_steps = 2;
  const Traffic traffic = plan_traffic(graph, plan);
  EXPECT_EQ(traffic.forward.moved, 4u * ((10 + 100 + 1000 + 7) + 2000));
  EXPECT_EQ(traffic.backward.moved, 4u * ((10 + 10 + 100 + 1000 + 7) + 30));
  EXPECT_EQ(traffic.total().moved, traffic.forward.moved + traffic.backward.moved);
  EXPECT_EQ(traffic.forward.floor, 0u);
  EXPECT_EQ(traffic.forward.ratio(), 0.0);
}

// The reference's steps, one by one: conv, norm with activation, pool, conv, pool, linear.
TEST(Traffic, RunningStatisticsAreReadAndWrittenInTraining) {
  const BackendPtr ref = make_ref_backend();
  const Graph graph = chain(false);
  const Plan train = plan_of(graph, *ref, Mode::train), eval = plan_of(graph, *ref, Mode::eval);
  const auto aux = [](const Plan& plan) {
    std::uint64_t bytes = 0;
    for (const PlanStep& step : plan.steps) {
      if (step.aux != kNone && step.pass == Pass::forward) {
        bytes += plan.tensors[step.aux].desc.bytes;
      }
    }
    return bytes;
  };
  constexpr std::uint64_t kNorm = 4 * 4, kStatistics = 2 * 4;
  const std::uint64_t kernels = 4 * ((kImage + kWeightsA + kA) + (kA + kNorm + kA) +
                                     (kA + kPooled) + (kPooled + kWeightsB + kBiasB + kB) +
                                     (kB + kGap) + (kGap + kWeightsHead + kBiasHead + kHead));
  EXPECT_EQ(plan_traffic(graph, eval).forward.moved, kernels + aux(eval));
  const std::uint64_t loss = 4 * (kHead + kBatch + 1);
  EXPECT_EQ(plan_traffic(graph, train).forward.moved,
            kernels + loss + aux(train) + 4 * kStatistics);
}

TEST(Traffic, NoPlanMovesLessThanItsFloor) {
  const BackendPtr ref = make_ref_backend(), cpu = make_cpu_backend(1);
  for (const Graph& graph : small_nets()) {
    for (Backend* backend : {ref.get(), cpu.get()}) {
      for (const Mode mode : {Mode::train, Mode::eval}) {
        SCOPED_TRACE(graph.name + " on " + backend->name());
        const Traffic traffic = plan_traffic(graph, plan_of(graph, *backend, mode));
        EXPECT_GT(traffic.forward.floor, 0u);
        EXPECT_GE(traffic.forward.moved, traffic.forward.floor);
        EXPECT_GE(traffic.backward.moved, traffic.backward.floor);
        EXPECT_EQ(traffic.backward.floor > 0, mode == Mode::train);
      }
    }
  }
}

TEST(Traffic, AnUpdateReadsAndWritesWeightsAndSlots) {
  const ParamBytes params{.all = 480, .trained = 400, .rounded = 200};
  // SGD: weights, gradients and momentum read, weights and momentum written.
  EXPECT_EQ(update_traffic(params, 1).floor, 5u * 400 + 200);
  EXPECT_EQ(update_traffic(params, 1).moved, 6u * 400 + 200) << "and gradients for their norm";
  EXPECT_EQ(update_traffic(params, 2).floor, 7u * 400 + 200);
}

}  // namespace
}  // namespace daybreak
