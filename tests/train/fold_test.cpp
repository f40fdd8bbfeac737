#include "train/fold.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/backend.h"
#include "config/network_spec.h"
#include "config/yaml_reader.h"
#include "layers/build_graph.h"
#include "train/weights.h"

namespace daybreak {
namespace {

const char* const kNet = R"(
input: {channels: 3, height: 8, width: 8, mean: [0, 0, 0], std: [1, 1, 1]}
layers:
  - conv: {name: a, filters: 5, norm: {batch: {eps: 1e-3}}, act: {leaky: 0.1}}
  - conv: {name: b, filters: 5, groups: 5, norm: batch, bias: true}
  - conv: {name: c, filters: 5, norm: {batch: {affine: false}}, act: mish}
  - add: {name: sum, from: [c, a]}
  - conv: {name: d, filters: 4}
  - batch_norm: {name: e}
  - add: {from: [e, d]}
  - linear: {name: f, outputs: 6, norm: batch}
)";

Graph graph_of(const char* text) {
  Diagnostics diagnostics;
  const NetworkSpec net = parse_network(read_yaml(text, "n.yaml", diagnostics), diagnostics);
  diagnostics.throw_if_any();
  BuildOptions options;
  options.float_input = true;
  return build_graph(net, options);
}

std::vector<NamedTensor> random_tensors(const Graph& graph) {
  std::vector<NamedTensor> tensors;
  int seed = 0;
  for (const Param& param : graph.params) {
    NamedTensor tensor{param.name, param.spec.dims, {}};
    for (std::int64_t i = 0; i < param.spec.shape.count(); ++i) {
      tensor.values.push_back(0.3f + 0.25f * std::sin(static_cast<float>(++seed)));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<float> run(const Graph& graph, const std::vector<NamedTensor>& tensors) {
  const BackendPtr backend = make_ref_backend();
  Executor executor(graph, *backend);
  PlanRequest request;
  request.mode = Mode::eval;
  request.keep = {graph.prediction};
  const PlanId plan = executor.add_plan(request);
  executor.prepare();
  write_weights(executor, "test", tensors, /*partial=*/false);
  std::vector<float> image(3 * 8 * 8);
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = std::cos(static_cast<float>(i));
  executor.upload(plan, InputRole::image, image.data(), image.size() * sizeof(float));
  executor.forward(plan);
  std::vector<float> result;
  executor.read(plan, graph.prediction, result);
  return result;
}

int norms(const Graph& graph) {
  int count = 0;
  for (const GraphNode& node : graph.nodes) count += node.op->kind() == OpKind::batchnorm;
  return count;
}

TEST(Fold, KeepsWhatTheNetworkComputes) {
  const Graph graph = graph_of(kNet);
  const auto tensors = random_tensors(graph);
  const FoldedModel folded = fold_batch_norm(graph, tensors, {graph.prediction});
  EXPECT_EQ(norms(graph), 5);
  EXPECT_EQ(norms(folded.graph), 1);  // that of "e": the sum reads its input, too
  EXPECT_EQ(folded.graph.params.size(), folded.tensors.size());
  const std::vector<float> expected = run(graph, tensors),
                           found = run(folded.graph, folded.tensors);
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-4 * std::abs(expected[i]) + 1e-5);
  }
}

TEST(Fold, LeavesAKeptInputAlone) {
  const Graph graph = graph_of(kNet);
  ValueId conv = kNone;
  for (const GraphNode& node : graph.nodes) {
    if (node.layer == "a" && node.op->kind() == OpKind::conv2d) conv = node.output;
  }
  const FoldedModel folded =
      fold_batch_norm(graph, random_tensors(graph), {graph.prediction, conv});
  EXPECT_EQ(norms(folded.graph), 2);
}

}  // namespace
}  // namespace daybreak
