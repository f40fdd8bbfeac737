#include <algorithm>
#include <memory>

#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "plan/fuse.h"

namespace daybreak {
namespace {

// A node's operation, to be changed: the graph's own is shared by all plans.
template <class T>
std::shared_ptr<T> copy_of(const GraphNode& node) {
  return std::make_shared<T>(static_cast<const T&>(*node.op));
}

}  // namespace

std::vector<GraphNode> fuse_statistics(std::vector<GraphNode> nodes, const Graph& graph) {
  std::vector<int> convolution(graph.values.size(), kNone);  // by value: the node that makes it
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    GraphNode& node = nodes[i];
    if (node.op->kind() == OpKind::conv2d) convolution[node.output] = static_cast<int>(i);
    if (node.op->kind() != OpKind::batchnorm || convolution[node.inputs[0]] == kNone) continue;
    GraphNode& before = nodes[convolution[node.inputs[0]]];
    auto conv = copy_of<Conv2d>(before);
    conv->measures = true;
    before.op = std::move(conv);
    auto norm = copy_of<BatchNorm>(node);
    norm->measured = true;
    node.op = std::move(norm);
  }
  return nodes;
}

namespace {

// Relu's gradient may be taken twice, and has no second way to go.
bool chains(const BatchNorm& norm) {
  return norm.act.kind == ActKind::relu && norm.affine && !norm.in_place && !norm.sum;
}

}  // namespace

std::vector<GraphNode> fuse_gradients(std::vector<GraphNode> nodes, const Graph& graph) {
  std::vector<int> readers(graph.values.size(), 0), norm_of(graph.values.size(), kNone);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (ValueId input : nodes[i].inputs) ++readers[input];
    if (nodes[i].op->kind() == OpKind::batchnorm) norm_of[nodes[i].output] = static_cast<int>(i);
  }
  for (GraphNode& node : nodes) {
    const ValueId input = node.op->kind() == OpKind::conv2d ? node.inputs[0] : kNone;
    if (input == kNone || norm_of[input] == kNone || readers[input] != 1) continue;
    GraphNode& before = nodes[norm_of[input]];
    auto norm = copy_of<BatchNorm>(before);
    if (!chains(*norm)) continue;
    auto conv = copy_of<Conv2d>(node);
    conv->chain = true;
    norm->chained = true;
    node.op = std::move(conv);
    before.op = std::move(norm);
  }
  return nodes;
}

int loader_of(const std::vector<GraphNode>& nodes, std::size_t norm,
              const std::vector<ValueId>& keep) {
  const GraphNode& node = nodes[norm];
  if (node.op->kind() != OpKind::batchnorm) return kNone;
  const auto& op = static_cast<const BatchNorm&>(*node.op);
  const bool kept = std::find(keep.begin(), keep.end(), node.output) != keep.end();
  if (!op.measured || !op.chained || kept) return kNone;
  const auto reader = std::find_if(nodes.begin(), nodes.end(), [&](const GraphNode& other) {
    return !other.inputs.empty() && other.inputs[0] == node.output;
  });
  return static_cast<int>(reader - nodes.begin());  // what chains a norm is its only reader
}

void fuse_load(GraphNode& norm, GraphNode& conv) {
  auto deferred = copy_of<BatchNorm>(norm);
  deferred->deferred = true;
  norm.op = std::move(deferred);
  auto loads = copy_of<Conv2d>(conv);
  loads->loads = true;
  conv.op = std::move(loads);
}

}  // namespace daybreak
