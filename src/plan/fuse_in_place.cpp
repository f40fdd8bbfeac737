#include <algorithm>
#include <functional>
#include <memory>

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
  return add.coeff[0] == 1.0f && add.coeff[1] == 1.0f;
}

// A sum's activation needs a norm without one whose backward has its input.
bool takes(const BatchNorm& norm, const Add& add) {
  const bool told_by_output = add.act.kind == ActKind::relu || add.act.kind == ActKind::leaky;
  return add.act.kind == ActKind::none ||
         (told_by_output && norm.act.kind == ActKind::none && !norm.in_place);
}

// The norm with the sum and what stands behind it.
std::shared_ptr<const Op> with_sum(const BatchNorm& norm, const Add& add) {
  auto sum = std::make_shared<BatchNorm>(norm);
  sum->sum = true;
  sum->act_last = add.act.kind != ActKind::none;
  if (sum->act_last) sum->act = add.act;
  return sum;
}

// Replaces every norm by `changed` of it, where that is one, and gives those the plain sums that
// alone read them.
std::vector<GraphNode> take_sums(
    std::vector<GraphNode> nodes, const Graph& graph, const std::vector<ValueId>& keep,
    const std::function<std::shared_ptr<BatchNorm>(const GraphNode&)>& changed) {
  std::vector<int> readers(graph.values.size(), 0);
  for (const GraphNode& node : nodes) {
    for (ValueId input : node.inputs) ++readers[input];
  }
  for (ValueId value : keep) ++readers[value];
  std::vector<GraphNode> result;
  std::vector<int> position(graph.values.size(), kNone);  // in `result`, of norms for one reader
  for (GraphNode& node : nodes) {
    if (auto norm = changed(node)) {
      node.op = std::move(norm);
      if (readers[node.output] == 1) position[node.output] = static_cast<int>(result.size());
    } else if (plain_sum(node)) {  // of two norms the later one takes the sum
      const Add& add = static_cast<const Add&>(*node.op);
      const auto place = [&](ValueId value) {
        const int at = position[value];
        const bool fits = at != kNone && takes(static_cast<const BatchNorm&>(*result[at].op), add);
        return fits ? at : kNone;
      };
      const int first = place(node.inputs[0]), second = place(node.inputs[1]);
      const int at = std::max(first, second);
      if (at != kNone) {
        GraphNode joined = std::move(result[at]);
        result[at].op = nullptr;
        joined.op = with_sum(static_cast<const BatchNorm&>(*joined.op), add);
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

}  // namespace

std::vector<GraphNode> fuse_in_place(std::vector<GraphNode> nodes, const Graph& graph,
                                     const std::vector<ValueId>& keep) {
  return take_sums(std::move(nodes), graph, keep,
                   [&](const GraphNode& node) { return in_place(graph, node); });
}

std::vector<GraphNode> fuse_sums(std::vector<GraphNode> nodes, const Graph& graph,
                                 const std::vector<ValueId>& keep) {
  return take_sums(std::move(nodes), graph, keep, [](const GraphNode& node) {
    if (node.op->kind() != OpKind::batchnorm) return std::shared_ptr<BatchNorm>();
    const auto& norm = static_cast<const BatchNorm&>(*node.op);
    return norm.sum ? nullptr : std::make_shared<BatchNorm>(norm);
  });
}

}  // namespace daybreak
