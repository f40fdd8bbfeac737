#include <algorithm>

#include "ops/add.h"
#include "ops/batchnorm.h"
#include "plan/fuse.h"

namespace daybreak {
namespace {

constexpr float kLeastSlope = 1e-3f;  // a smaller one costs digits of the input found again

bool starts_at_zero(const Graph& graph, const GraphNode& norm) {
  const Init& init = graph.params[norm.params[0]].init;
  return init.kind == InitKind::constant && init.a == 0.0f;
}

// The norm in place, or null when it has to keep its input.
std::shared_ptr<BatchNorm> in_place(const Graph& graph, const GraphNode& node) {
  if (node.op->kind() != OpKind::batchnorm) return nullptr;
  auto norm = std::make_shared<BatchNorm>(static_cast<const BatchNorm&>(*node.op));
  const bool inverts = norm->act.kind == ActKind::leaky && norm->act.slope >= kLeastSlope;
  if (!inverts || (norm->affine && starts_at_zero(graph, node))) return nullptr;
  norm->in_place = true;
  return norm;
}

bool plain_sum(const GraphNode& node) {
  if (node.op->kind() != OpKind::add || node.inputs[0] == node.inputs[1]) return false;
  const Add& add = static_cast<const Add&>(*node.op);
  return add.coeff[0] == 1.0f && add.coeff[1] == 1.0f && add.act.kind == ActKind::none;
}

}  // namespace

std::vector<GraphNode> fuse_in_place(std::vector<GraphNode> nodes, const Graph& graph,
                                     const std::vector<ValueId>& keep) {
  std::vector<int> readers(graph.values.size(), 0);
  for (const GraphNode& node : nodes) {
    for (ValueId input : node.inputs) ++readers[input];
  }
  for (ValueId value : keep) ++readers[value];
  std::vector<GraphNode> result;
  std::vector<int> position(graph.values.size(), kNone);  // in `result`, of norms for one reader
  for (GraphNode& node : nodes) {
    if (auto norm = in_place(graph, node)) {
      node.op = std::move(norm);
      if (readers[node.output] == 1) position[node.output] = static_cast<int>(result.size());
    } else if (plain_sum(node)) {  // of two norms the later one takes the sum
      const int first = position[node.inputs[0]], second = position[node.inputs[1]];
      const int at = std::max(first, second);
      if (at != kNone) {
        GraphNode joined = std::move(result[at]);
        result[at].op = nullptr;
        auto sum = std::make_shared<BatchNorm>(static_cast<const BatchNorm&>(*joined.op));
        sum->sum = true;
        joined.op = std::move(sum);
        joined.inputs.push_back(node.inputs[at == first ? 1 : 0]);
        joined.output = node.output;
        result.push_back(std::move(joined));
        continue;
      }
    }
    result.push_back(std::move(node));
  }
  std::erase_if(result, [](const GraphNode& node) { return node.op == nullptr; });
  return result;
}

}  // namespace daybreak
