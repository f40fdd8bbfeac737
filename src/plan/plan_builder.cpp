#include "plan/plan_builder.h"

#include <fmt/format.h>

#include "plan/tune_key.h"

namespace daybreak {

PlanBuilder::PlanBuilder(const Graph& graph_in, Backend& backend_in, const PlanRequest& request_in,
                         ParamLayouts& layouts_in, const OfferChooser& choose)
    : graph(graph_in),
      backend(backend_in),
      request(request_in),
      layouts(layouts_in),
      choose_(choose),
      versions_(graph_in.values.size()),
      weights_(graph_in.params.size(), kNone),
      gradients_(graph_in.params.size(), kNone) {
  plan.request = request_in;
  plan.value_tensor.assign(graph.values.size(), kNone);
  plan.value_gradient.assign(graph.values.size(), kNone);
}

TensorId PlanBuilder::new_tensor(std::string name, const TensorDesc& desc) {
  PlanTensor tensor;
  tensor.name = std::move(name);
  tensor.desc = desc;
  plan.tensors.push_back(std::move(tensor));
  return static_cast<TensorId>(plan.tensors.size()) - 1;
}

TensorId PlanBuilder::new_alias(TensorId of, const TensorDesc& desc) {
  PlanTensor tensor = plan.tensors[of];
  tensor.desc = desc;
  tensor.alias_of = of;
  tensor.pinned = false;
  plan.tensors.push_back(std::move(tensor));
  return static_cast<TensorId>(plan.tensors.size()) - 1;
}

TensorId PlanBuilder::converted(TensorId from, const TensorDesc& desc, const GraphNode& node,
                                Pass pass) {
  const TensorDesc have = plan.tensors[from].desc;
  if (have == desc) return from;
  if (have.dtype == desc.dtype && backend.same_bytes(have, desc)) return new_alias(from, desc);
  const TensorId to = new_tensor(plan.tensors[from].name, desc);
  PlanStep step;
  step.kind = StepKind::reorder;
  step.layer = node.layer;
  step.op = "reorder";
  step.kernel = backend.layout_name(have.layout) + " -> " + backend.layout_name(desc.layout);
  step.pass = pass;
  step.x = {from};
  step.y = to;
  step.make = [&b = backend, have, desc] { return b.reorder(have, desc); };
  plan.steps.push_back(std::move(step));
  return to;
}

TensorId PlanBuilder::value_as(ValueId value, const TensorDesc& desc, const GraphNode& node,
                               Pass pass) {
  for (TensorId version : versions_[value]) {
    if (plan.tensors[version].desc == desc) return version;
  }
  const TensorId made = converted(plan.value_tensor[value], desc, node, pass);
  versions_[value].push_back(made);
  return made;
}

void PlanBuilder::set_value(ValueId value, TensorId tensor) {
  plan.value_tensor[value] = tensor;
  versions_[value].push_back(tensor);
}

const TensorDesc& PlanBuilder::value_desc(ValueId value) const {
  return plan.tensors[plan.value_tensor[value]].desc;
}

bool PlanBuilder::trainable(ParamId param) const {
  if (!is_trained(graph.params[param].spec.role)) return false;
  return request.frozen.empty() || !request.frozen[param];
}

std::vector<TensorDesc> PlanBuilder::param_descs(const GraphNode& node) const {
  const DType dtype = request.dtype == DType::f64 ? DType::f64 : DType::f32;
  std::vector<TensorDesc> descs;
  for (ParamId param : node.params) {
    descs.push_back(
        layouts.desc[param].value_or(plain_desc(graph.params[param].spec.shape, dtype)));
  }
  return descs;
}

TensorId PlanBuilder::weight_as(ParamId param, const TensorDesc& desc, const GraphNode& node,
                                Pass pass) {
  if (!layouts.desc[param]) {
    const DType dtype = request.dtype == DType::f64 ? DType::f64 : DType::f32;
    const TensorDesc plain = plain_desc(graph.params[param].spec.shape, dtype);
    layouts.desc[param] = desc.dtype == dtype && backend.storable(desc) ? desc : plain;
  }
  if (weights_[param] == kNone) {
    weights_[param] = new_tensor(graph.params[param].name, *layouts.desc[param]);
    plan.tensors.back().place = Place::weight;
    plan.tensors.back().param = param;
  }
  return converted(weights_[param], desc, node, pass);
}

TensorId PlanBuilder::gradient_tensor(ParamId param) {
  DAYBREAK_ASSERT(layouts.desc[param].has_value());
  if (gradients_[param] == kNone) {
    gradients_[param] = new_tensor("d " + graph.params[param].name, *layouts.desc[param]);
    plan.tensors.back().place = Place::gradient;
    plan.tensors.back().param = param;
  }
  return gradients_[param];
}

KernelQuery PlanBuilder::query(const GraphNode& node, Pass pass) const {
  KernelQuery q;
  q.op = node.op.get();
  q.pass = pass;
  q.mode = request.mode;
  for (ValueId input : node.inputs) q.inputs.push_back(value_desc(input));
  q.params = param_descs(node);
  for (ParamId param : node.params) {
    if (!layouts.desc[param]) q.params_fixed = false;
  }
  return q;
}

ChosenOffer PlanBuilder::choose(const GraphNode& node, const KernelQuery& query) {
  std::string reason;
  std::vector<KernelOffer> offers = backend.offers(query, &reason);
  if (offers.empty()) {
    throw ConfigError(
        node.mark, fmt::format("layer \"{}\": {} ({}) is not available on {}: {}", node.layer,
                               node.op->describe(), to_string(query.pass), backend.name(), reason));
  }
  const OfferChoice choice = choose_(query, offers);
  DAYBREAK_ASSERT(choice.index < offers.size());
  return {std::move(offers[choice.index]), choice.seconds};
}

PlanStep& PlanBuilder::add_step(const GraphNode& node, Pass pass, const ChosenOffer& offer) {
  PlanStep step;
  step.layer = node.layer;
  step.op = node.op->describe();
  step.kernel = offer.name;
  step.measured_seconds = offer.measured_seconds;
  if (tunable(*node.op)) {  // both gradients take as many operations as the forward pass
    std::vector<Shape> inputs;
    for (ValueId input : node.inputs) inputs.push_back(plan.shapes[input]);
    step.flops = node.op->flops(inputs);
  }
  step.pass = pass;
  step.node = static_cast<NodeId>(&node - nodes.data());
  step.in_place = offer.in_place;
  step.make = offer.make;
  plan.steps.push_back(std::move(step));
  return plan.steps.back();
}

TensorId PlanBuilder::workspace(const KernelOffer& offer, const GraphNode& node) {
  if (offer.workspace_bytes == 0) return kNone;
  const int bytes = static_cast<int>((offer.workspace_bytes + 3) / 4);
  return new_tensor(node.layer + " workspace",
                    {Shape{1, bytes, 1, 1}, DType::f32, kNchw, offer.workspace_bytes});
}

}  // namespace daybreak
