#include "plan/describe.h"

#include <algorithm>

namespace daybreak {
namespace {

LayerSummary& layer_of(std::vector<LayerSummary>& layers, const std::string& name) {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [&](const LayerSummary& layer) { return layer.name == name; });
  if (found != layers.end()) return *found;
  layers.push_back({});
  layers.back().name = name;
  return layers.back();
}

void append(std::string& list, const std::string& item) {
  if (list.find(item) != std::string::npos) return;
  if (!list.empty()) list += ", ";
  list += item;
}

}  // namespace

std::vector<LayerSummary> summarize(const Graph& graph, const Plan& plan) {
  std::vector<LayerSummary> layers;
  for (const GraphNode& node : graph.nodes) {
    LayerSummary& layer = layer_of(layers, node.layer);
    append(layer.ops, node.op->describe());
    layer.output = plan.shapes[node.output];
    for (ParamId param : node.params) {
      const ParamSpec& spec = graph.params[param].spec;
      if (is_trained(spec.role)) layer.params += spec.shape.count();
    }
    std::vector<Shape> inputs;
    for (ValueId input : node.inputs) {
      inputs.push_back(plan.shapes[input]);
      inputs.back().n = 1;
    }
    layer.flops += node.op->flops(inputs);
  }
  for (std::size_t s = 0; s < plan.forward_steps; ++s) {
    const PlanStep& step = plan.steps[s];
    if (step.kind == StepKind::op) append(layer_of(layers, step.layer).kernels, step.kernel);
  }
  return layers;
}

}  // namespace daybreak
