#include "plan/fuse.h"

#include <algorithm>

#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"

namespace daybreak {
namespace {

bool fusible(const Activation& act) {
  return act.kind == ActKind::relu || (act.kind == ActKind::leaky && act.slope > 0.0f);
}

// The op with the activation filled in, or null when it cannot take one.
std::shared_ptr<const Op> with_activation(const Op& op, const Activation& act) {
  if (op.kind() == OpKind::batchnorm) {
    auto fused = std::make_shared<BatchNorm>(static_cast<const BatchNorm&>(op));
    if (fused->act.kind != ActKind::none) return nullptr;
    fused->act = act;
    return fused;
  }
  if (op.kind() == OpKind::add) {
    auto fused = std::make_shared<Add>(static_cast<const Add&>(op));
    if (fused->act.kind != ActKind::none) return nullptr;
    fused->act = act;
    return fused;
  }
  return nullptr;
}

}  // namespace

std::vector<GraphNode> fuse(const Graph& graph, const std::vector<ValueId>& keep) {
  std::vector<int> readers(graph.values.size(), 0);
  for (const GraphNode& node : graph.nodes) {
    for (ValueId input : node.inputs) ++readers[input];
  }
  std::vector<GraphNode> result;
  std::vector<int> position(graph.values.size(), -1);  // of the producer in `result`
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() == OpKind::act) {
      const ValueId input = node.inputs[0];
      const Activation& act = static_cast<const Act&>(*node.op).act;
      const bool kept = std::find(keep.begin(), keep.end(), input) != keep.end();
      if (fusible(act) && readers[input] == 1 && !kept && position[input] >= 0) {
        GraphNode& producer = result[position[input]];
        if (auto fused = with_activation(*producer.op, act)) {
          producer.op = std::move(fused);
          producer.output = node.output;
          position[node.output] = position[input];
          continue;
        }
      }
    }
    position[node.output] = static_cast<int>(result.size());
    result.push_back(node);
  }
  return result;
}

}  // namespace daybreak
