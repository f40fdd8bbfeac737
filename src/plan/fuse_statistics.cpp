#include <memory>

#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "plan/fuse.h"

namespace daybreak {

std::vector<GraphNode> fuse_statistics(std::vector<GraphNode> nodes, const Graph& graph) {
  std::vector<int> convolution(graph.values.size(), kNone);  // by value: the node that makes it
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    GraphNode& node = nodes[i];
    if (node.op->kind() == OpKind::conv2d) convolution[node.output] = static_cast<int>(i);
    if (node.op->kind() != OpKind::batchnorm || convolution[node.inputs[0]] == kNone) continue;
    GraphNode& before = nodes[convolution[node.inputs[0]]];
    auto conv = std::make_shared<Conv2d>(static_cast<const Conv2d&>(*before.op));
    conv->measures = true;
    before.op = std::move(conv);
    auto norm = std::make_shared<BatchNorm>(static_cast<const BatchNorm&>(*node.op));
    norm->measured = true;
    node.op = std::move(norm);
  }
  return nodes;
}

}  // namespace daybreak
