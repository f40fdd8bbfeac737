#include "plan/fuse.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/backend.h"
#include "graph/graph_builder.h"
#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "plan/executor.h"
#include "plan/small_nets.h"

namespace daybreak {
namespace {

int count(const std::vector<GraphNode>& nodes, OpKind kind) {
  int result = 0;
  for (const GraphNode& node : nodes) result += node.op->kind() == kind;
  return result;
}

TEST(Fuse, JoinsActivationsIntoBatchNormAndAdd) {
  const Graph graph = resnet_block_net();
  const std::vector<GraphNode> nodes = fuse(graph, {graph.loss});
  EXPECT_EQ(count(graph.nodes, OpKind::act), 2);
  EXPECT_EQ(count(nodes, OpKind::act), 0);
  for (const GraphNode& node : nodes) {
    if (node.layer == "n1") {
      EXPECT_EQ(static_cast<const BatchNorm&>(*node.op).act.kind, ActKind::relu);
    }
    if (node.layer == "n2") {
      EXPECT_EQ(static_cast<const BatchNorm&>(*node.op).act.kind, ActKind::none);
    }
    if (node.layer == "sum") {
      EXPECT_EQ(static_cast<const Add&>(*node.op).act.kind, ActKind::relu);
    }
  }
}

TEST(Fuse, LeavesKeptValuesAlone) {
  const Graph graph = residual_net();
  ValueId norm = kNone;
  for (const GraphNode& node : graph.nodes) {
    if (node.layer == "stem_bn") norm = node.output;
  }
  EXPECT_EQ(count(fuse(graph, {graph.loss, norm}), OpKind::act), 1);
  EXPECT_EQ(count(fuse(graph, {graph.loss}), OpKind::act), 0);
}

Act act_of(const Activation& act) {
  Act op;
  op.act = act;
  return op;
}

// conv - dropout - add(conv, image) - mish, all read once.
Graph inference_net() {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId image = b.graph_input(InputRole::image, {1, 5, 6, 6}, DType::f32, "image");
  const auto layer = [&](const char* name, std::vector<ValueId> inputs, auto op) {
    b.begin_layer(name, {}, inputs);
    b.add(std::move(op), inputs);
    return b.end_layer();
  };
  Conv2d conv;
  conv.out_channels = 5;
  const ValueId a = layer("a", {image}, conv);
  const ValueId leaky = layer("leaky", {a}, act_of({ActKind::leaky, 0.1f}));
  const ValueId c = layer("c", {leaky}, conv);
  const ValueId drop = layer("drop", {c}, Dropout{});
  const ValueId sum = layer("sum", {drop, leaky}, Add{});
  graph.prediction = layer("mish", {sum}, act_of({ActKind::mish}));
  return graph;
}

TEST(FuseInference, JoinsIntoConvolutions) {
  const Graph graph = inference_net();
  const std::vector<ValueId> keep = {graph.prediction};
  const auto all = [](const Activation&) { return true; };
  const auto nodes = fuse_inference(fuse(graph, keep), graph, keep, all);
  ASSERT_EQ(nodes.size(), 2u);
  const auto& first = static_cast<const Conv2d&>(*nodes[0].op);
  EXPECT_EQ(first.act.kind, ActKind::leaky);
  EXPECT_FALSE(first.residual);
  const auto& second = static_cast<const Conv2d&>(*nodes[1].op);
  EXPECT_TRUE(second.residual);
  EXPECT_EQ(second.act.kind, ActKind::mish);
  EXPECT_EQ(nodes[1].inputs, (std::vector<ValueId>{nodes[0].output, nodes[0].output}));
  EXPECT_EQ(nodes[1].output, graph.prediction);
}

TEST(FuseInference, LeavesWhatTheBackendOrAReaderForbids) {
  const Graph graph = inference_net();
  const auto no_mish = [](const Activation& act) { return act.kind != ActKind::mish; };
  const auto nodes = fuse_inference(graph.nodes, graph, {graph.prediction}, no_mish);
  EXPECT_EQ(count(nodes, OpKind::act), 1);
  EXPECT_EQ(count(nodes, OpKind::add), 0);
  ValueId conv = kNone;
  for (const GraphNode& node : graph.nodes) {
    if (node.layer == "c") conv = node.output;
  }
  const auto all = [](const Activation&) { return true; };
  EXPECT_EQ(count(fuse_inference(graph.nodes, graph, {graph.prediction, conv}, all), OpKind::add),
            1);
}

// A plan with everything joined computes what the parts compute.
TEST(FuseInference, EqualsItsParts) {
  const Graph graph = inference_net();
  std::vector<std::vector<float>> results;
  for (const bool fused : {false, true}) {
    const BackendPtr backend = fused ? make_cpu_backend(1) : make_ref_backend();
    Executor executor(graph, *backend);
    PlanRequest request;
    request.mode = Mode::eval;
    request.keep = {graph.prediction};
    request.fuse = fused;
    const PlanId plan = executor.add_plan(request);
    executor.prepare();
    executor.initialize(3);
    std::vector<float> image(5 * 6 * 6);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = std::sin(static_cast<float>(i));
    executor.upload(plan, InputRole::image, image.data(), image.size() * sizeof(float));
    executor.forward(plan);
    executor.read(plan, graph.prediction, results.emplace_back());
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_NEAR(results[0][i], results[1][i], 2e-5);
  }
}

}  // namespace
}  // namespace daybreak
