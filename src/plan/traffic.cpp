#include "plan/traffic.h"

#include <algorithm>
#include <map>
#include <set>

#include "plan/precision.h"

namespace daybreak {
namespace {

std::uint64_t tensor_bytes(const Plan& plan, TensorId id) {
  return id == kNone ? 0 : static_cast<std::uint64_t>(plan.tensors[id].desc.bytes);
}

// A tensor that is given twice, as to x + x, is read once.
std::uint64_t list_bytes(const Plan& plan, const std::vector<TensorId>& ids) {
  std::uint64_t bytes = 0;
  for (const TensorId id : std::set<TensorId>(ids.begin(), ids.end())) {
    bytes += tensor_bytes(plan, id);
  }
  return bytes;
}

// Running statistics are moved on by the forward pass of a training.
std::uint64_t running_bytes(const Graph& graph, const Plan& plan, const PlanStep& step) {
  if (plan.request.mode != Mode::train || step.pass != Pass::forward) return 0;
  std::uint64_t bytes = 0;
  for (const TensorId id : step.w) {
    const ParamId param = id == kNone ? kNone : plan.tensors[plan.root(id)].param;
    if (param != kNone && !is_trained(graph.params[param].spec.role)) {
      bytes += tensor_bytes(plan, id);
    }
  }
  return bytes;
}

std::uint64_t moved_by(const Graph& graph, const Plan& plan, const PlanStep& step) {
  const std::uint64_t x = list_bytes(plan, step.x), y = tensor_bytes(plan, step.y);
  switch (step.kind) {
    case StepKind::reorder:
      return x + y;
    case StepKind::accumulate:
      return x + 2 * y;
    case StepKind::op:
      break;
  }
  return x + y + list_bytes(plan, step.dx) + list_bytes(plan, step.w) + list_bytes(plan, step.dw) +
         tensor_bytes(plan, step.dy) + tensor_bytes(plan, step.aux) +
         tensor_bytes(plan, step.statistics) + running_bytes(graph, plan, step);
}

bool is_product(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::conv2d_transpose || kind == OpKind::linear;
}

// The graph as it was before any backend fused it, as far as kept values depend on it.
class Floor {
 public:
  Floor(const Graph& graph, const Plan& plan)
      : graph_(graph),
        plan_(plan),
        dtypes_(node_dtypes(graph.nodes, graph.values.size(), plan.request.dtype)),
        producer_(graph.values.size(), kNone),
        readers_(graph.values.size()),
        needs_gradient_(graph.values.size(), false),
        kept_(graph.values.size(), false) {
    for (const ValueId value : plan.request.keep) kept_[value] = true;
    std::vector<bool> needed = kept_;
    for (std::size_t i = graph.nodes.size(); i-- > 0;) {
      const GraphNode& node = graph.nodes[i];
      if (!needed[node.output]) continue;
      producer_[node.output] = static_cast<int>(i);
      for (const ValueId input : std::set<ValueId>(node.inputs.begin(), node.inputs.end())) {
        needed[input] = true;
        readers_[input].push_back(static_cast<int>(i));
      }
    }
    for (const GraphNode& node : graph.nodes) {
      bool needs = std::any_of(node.params.begin(), node.params.end(),
                               [&](ParamId param) { return trainable(param); });
      for (const ValueId input : node.inputs) needs = needs || needs_gradient_[input];
      needs_gradient_[node.output] = needs;
    }
  }

  std::uint64_t forward() const {
    Sum sum;
    for_products([&](const GraphNode& node) {
      sum.input(source(node.inputs[0]));
      sum.bytes += written(node.output);
      for (const ParamId param : node.params) sum.param(param, param_bytes(node, param));
    });
    return sum.total();
  }

  std::uint64_t backward() const {
    Sum read, made;
    for_products([&](const GraphNode& node) {
      const bool trains = trainable(node.params[0]);
      const Source input = source(node.inputs[0]);
      const bool hands_on = needs_gradient_[input.value];
      if (!trains && !hands_on) return;
      read.bytes += written(node.output);  // as large as its gradient
      if (trains) read.input(input);
      if (hands_on) {
        read.param(node.params[0], param_bytes(node, node.params[0]));
        made.input(input);
      }
      for (const ParamId param : node.params) {
        if (trainable(param)) made.param(param, stored_bytes(param));
      }
    });
    return read.total() + made.total();
  }

 private:
  // What has to be read to know a value: the smallest tensor on the way to it from the last one
  // that a product, or more than one tensor, was made into.
  struct Source {
    ValueId value;
    std::uint64_t bytes;
  };

  // Counts values and parameters once, however many read them.
  struct Sum {
    std::uint64_t bytes = 0;
    std::map<ValueId, std::uint64_t> inputs;
    std::map<ParamId, std::uint64_t> params;

    void input(const Source& source) {
      inputs[source.value] = std::max(inputs[source.value], source.bytes);
    }
    void param(ParamId param, std::uint64_t size) { params[param] = size; }
    std::uint64_t total() const {
      std::uint64_t sum = bytes;
      for (const auto& [value, size] : inputs) sum += size;
      for (const auto& [param, size] : params) sum += size;
      return sum;
    }
  };

  template <typename Body>
  void for_products(const Body& body) const {
    for (const GraphNode& node : graph_.nodes) {
      if (producer_[node.output] != kNone && is_product(node.op->kind())) body(node);
    }
  }

  bool trainable(ParamId param) const {
    const std::vector<bool>& frozen = plan_.request.frozen;
    return is_trained(graph_.params[param].spec.role) && (frozen.empty() || !frozen[param]);
  }

  // Nodes that make one tensor of one tensor and can be computed where that is read or written.
  bool rides_along(const GraphNode& node) const {
    return !is_product(node.op->kind()) &&
           std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId input) { return input == node.inputs[0]; });
  }

  // Statistics of all that is normalised are needed before any of it can be read again.
  bool waits_for_statistics(const GraphNode& node) const {
    return node.op->kind() == OpKind::instancenorm ||
           (node.op->kind() == OpKind::batchnorm && plan_.request.mode == Mode::train);
  }

  std::uint64_t value_bytes(ValueId value) const {
    const int producer = producer_[value];
    DType dtype = graph_.values[value].dtype;
    if (producer != kNone) dtype = dtypes_[static_cast<std::size_t>(producer)];
    return static_cast<std::uint64_t>(plan_.shapes[value].count()) * element_size(dtype);
  }

  Source source(ValueId value) const {
    Source source{value, value_bytes(value)};
    while (producer_[source.value] != kNone) {
      const GraphNode& node = graph_.nodes[static_cast<std::size_t>(producer_[source.value])];
      if (!rides_along(node)) break;
      source.value = node.inputs[0];
      source.bytes = std::min(source.bytes, value_bytes(source.value));
    }
    return source;
  }

  std::uint64_t written(ValueId value) const {
    std::uint64_t bytes = value_bytes(value);
    while (readers_[value].size() == 1 && !kept_[value]) {
      const GraphNode& reader = graph_.nodes[static_cast<std::size_t>(readers_[value][0])];
      if (!rides_along(reader) || waits_for_statistics(reader)) break;
      value = reader.output;
      bytes = std::min(bytes, value_bytes(value));
    }
    return bytes;
  }

  std::uint64_t elements(ParamId param) const {
    return static_cast<std::uint64_t>(graph_.params[param].spec.shape.count());
  }
  // Masters and gradients are f32 whatever is computed in.
  std::uint64_t stored_bytes(ParamId param) const {
    const bool wide = plan_.request.dtype == DType::f64;
    return elements(param) * element_size(wide ? DType::f64 : DType::f32);
  }
  // Weights are read in the type of the product, biases as they are stored.
  std::uint64_t param_bytes(const GraphNode& node, ParamId param) const {
    if (param != node.params[0]) return stored_bytes(param);
    const auto index = static_cast<std::size_t>(&node - graph_.nodes.data());
    return elements(param) * element_size(dtypes_[index]);
  }

  const Graph& graph_;
  const Plan& plan_;
  std::vector<DType> dtypes_;              // by node
  std::vector<int> producer_;              // by value; kNone: a graph input, or not needed
  std::vector<std::vector<int>> readers_;  // by value: nodes
  std::vector<bool> needs_gradient_, kept_;
};

}  // namespace

Traffic plan_traffic(const Graph& graph, const Plan& plan) {
  Traffic traffic;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    PassTraffic& pass = i < plan.forward_steps ? traffic.forward : traffic.backward;
    pass.moved += moved_by(graph, plan, plan.steps[i]);
  }
  const Floor floor(graph, plan);
  traffic.forward.floor = floor.forward();
  if (plan.request.mode == Mode::train) traffic.backward.floor = floor.backward();
  return traffic;
}

PassTraffic update_traffic(const ParamBytes& params, int slots) {
  const std::uint64_t trained = params.trained;
  PassTraffic traffic;
  traffic.floor = trained * static_cast<std::uint64_t>(3 + 2 * slots) + params.rounded;
  traffic.moved = traffic.floor + trained;
  return traffic;
}

}  // namespace daybreak
