#include "plan/fuse.h"

#include <algorithm>

#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"

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

namespace {

/// Walks nodes in order and joins them into convolutions.
class InferenceFusion {
 public:
  InferenceFusion(const Graph& graph, const std::vector<ValueId>& keep,
                  const std::function<bool(const Activation&)>& fuses)
      : keep_(keep),
        fuses_(fuses),
        alias_(graph.values.size(), kNone),
        readers_(graph.values.size(), 0),
        position_(graph.values.size(), -1) {}

  std::vector<GraphNode> run(std::vector<GraphNode> nodes) {
    for (GraphNode& node : nodes) {
      for (ValueId& input : node.inputs) input = seen_through(input);
      const bool dropped = node.op->kind() == OpKind::dropout && !kept(node.output);
      if (dropped) {
        alias_[node.output] = node.inputs[0];
      } else {
        for (ValueId input : node.inputs) ++readers_[input];
      }
    }
    for (GraphNode& node : nodes) {
      if (alias_[node.output] != kNone || join_activation(node) || join_sum(node)) continue;
      position_[node.output] = static_cast<int>(result_.size());
      result_.push_back(std::move(node));
    }
    std::erase_if(result_, [](const GraphNode& node) { return node.op == nullptr; });
    return std::move(result_);
  }

 private:
  bool kept(ValueId value) const {
    return std::find(keep_.begin(), keep_.end(), value) != keep_.end();
  }

  ValueId seen_through(ValueId value) const {
    return alias_[value] == kNone ? value : alias_[value];
  }

  // The convolution that makes `value` for one reader alone, still without an activation.
  GraphNode* open_convolution(ValueId value) {
    if (position_[value] < 0 || readers_[value] != 1 || kept(value)) return nullptr;
    GraphNode& node = result_[position_[value]];
    if (!node.op || node.op->kind() != OpKind::conv2d) return nullptr;
    return static_cast<const Conv2d&>(*node.op).act.kind == ActKind::none ? &node : nullptr;
  }

  bool join_activation(const GraphNode& node) {
    if (node.op->kind() != OpKind::act) return false;
    const Activation& act = static_cast<const Act&>(*node.op).act;
    GraphNode* conv = open_convolution(node.inputs[0]);
    if (!conv || !fuses_(act)) return false;
    auto fused = std::make_shared<Conv2d>(static_cast<const Conv2d&>(*conv->op));
    fused->act = act;
    conv->op = std::move(fused);
    position_[node.output] = position_[node.inputs[0]];
    conv->output = node.output;
    return true;
  }

  bool join_sum(const GraphNode& node) {
    if (node.op->kind() != OpKind::add || node.inputs[0] == node.inputs[1]) return false;
    const Add& add = static_cast<const Add&>(*node.op);
    if (add.coeff[0] != 1.0f || add.coeff[1] != 1.0f || !fuses_(add.act)) return false;
    GraphNode* conv = nullptr;
    ValueId other = kNone;
    for (int i = 0; i < 2; ++i) {  // of two convolutions the later one
      GraphNode* found = open_convolution(node.inputs[i]);
      if (!found || static_cast<const Conv2d&>(*found->op).residual || (conv && found < conv)) {
        continue;
      }
      conv = found;
      other = node.inputs[1 - i];
    }
    if (!conv) return false;
    auto fused = std::make_shared<Conv2d>(static_cast<const Conv2d&>(*conv->op));
    fused->residual = true;
    fused->act = add.act;
    GraphNode joined = std::move(*conv);
    conv->op = nullptr;  // its place is empty now
    joined.op = std::move(fused);
    joined.inputs.push_back(other);
    joined.output = node.output;
    position_[node.output] = static_cast<int>(result_.size());
    result_.push_back(std::move(joined));
    return true;
  }

  const std::vector<ValueId>& keep_;
  const std::function<bool(const Activation&)>& fuses_;
  std::vector<ValueId> alias_;  // what a dropped node's output stands for
  std::vector<int> readers_;
  std::vector<int> position_;  // of a value's producer in result_
  std::vector<GraphNode> result_;
};

}  // namespace

std::vector<GraphNode> fuse_inference(std::vector<GraphNode> nodes, const Graph& graph,
                                      const std::vector<ValueId>& keep,
                                      const std::function<bool(const Activation&)>& fuses) {
  return InferenceFusion(graph, keep, fuses).run(std::move(nodes));
}

}  // namespace daybreak
