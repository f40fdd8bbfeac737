#include "plan/plan_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/precision.h"
#include "plan/tune_key.h"

namespace daybreak {

std::string reorder_name(const Backend& backend, const TensorDesc& from, const TensorDesc& to) {
  const std::string layouts =
      backend.layout_name(from.layout) + " -> " + backend.layout_name(to.layout);
  if (from.dtype == to.dtype) return layouts;
  const std::string types = std::string(to_string(from.dtype)) + " -> " + to_string(to.dtype);
  return from.layout == to.layout ? types : types + ", " + layouts;
}

PlanBuilder::PlanBuilder(const Graph& graph_in, Backend& backend_in, const PlanRequest& request_in,
                         ParamLayouts& layouts_in, const OfferChooser& choose,
                         const JoinChooser& join_in)
    : graph(graph_in),
      backend(backend_in),
      request(request_in),
      layouts(layouts_in),
      join(join_in),
      choose_(choose),
      versions_(graph_in.values.size()),
      weights_(graph_in.params.size(), kNone),
      rounded_(graph_in.params.size(), kNone),
      gradients_(graph_in.params.size(), kNone),
      statistics_(graph_in.values.size(), kNone) {
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

TensorDesc PlanBuilder::in_dtype(TensorDesc desc, DType dtype) const {
  if (!is_floating(desc.dtype) || desc.dtype == dtype) return desc;
  desc.dtype = dtype;
  desc.bytes = backend.layout_bytes(desc.shape, dtype, desc.layout);
  return desc;
}

TensorId PlanBuilder::converted(TensorId from, TensorDesc desc, const GraphNode& node, Pass pass) {
  const TensorDesc have = plan.tensors[from].desc;
  if (have == desc) return from;
  if (have.dtype == desc.dtype && backend.same_bytes(have, desc)) return new_alias(from, desc);
  const TensorId to = new_tensor(plan.tensors[from].name, desc);
  PlanStep step;
  step.kind = StepKind::reorder;
  step.layer = node.layer;
  step.op = "reorder";
  step.kernel = reorder_name(backend, have, desc);
  step.pass = pass;
  step.x = {from};
  step.y = to;
  step.make = [&b = backend, have, desc] { return b.reorder(have, desc); };
  plan.steps.push_back(std::move(step));
  return to;
}

TensorId PlanBuilder::value_as(ValueId value, TensorDesc desc, const GraphNode& node, Pass pass) {
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

TensorDesc PlanBuilder::value_desc(ValueId value) const {
  return plan.tensors[plan.value_tensor[value]].desc;
}

bool PlanBuilder::trainable(ParamId param) const {
  if (!is_trained(graph.params[param].spec.role)) return false;
  return request.frozen.empty() || !request.frozen[param];
}

DType PlanBuilder::param_dtype() const {
  return request.dtype == DType::f64 ? DType::f64 : DType::f32;
}

std::vector<TensorDesc> PlanBuilder::param_descs(const GraphNode& node) const {
  std::vector<TensorDesc> descs;
  for (ParamId param : node.params) {
    descs.push_back(
        layouts.desc[param].value_or(plain_desc(graph.params[param].spec.shape, param_dtype())));
  }
  return descs;
}

bool PlanBuilder::params_fixed(const GraphNode& node) const {
  return std::all_of(node.params.begin(), node.params.end(),
                     [&](ParamId param) { return layouts.desc[param].has_value(); });
}

// Parameters are f32 whatever kernels read: in the layout the offer would keep them in.
TensorDesc PlanBuilder::stored_desc(const GraphNode& node, std::size_t index,
                                    const KernelOffer& offer) const {
  TensorDesc desc = offer.params[index];
  if (index < offer.kept_layouts.size()) desc.layout = offer.kept_layouts[index];
  const TensorDesc plain = plain_desc(graph.params[node.params[index]].spec.shape, param_dtype());
  desc.dtype = plain.dtype;
  if (!backend.storable(desc)) return plain;
  desc.bytes = backend.layout_bytes(desc.shape, desc.dtype, desc.layout);
  return desc;
}

TensorId PlanBuilder::param_tensor(std::vector<TensorId>& known, ParamId param, Place place) {
  if (known[param] == kNone) {
    const std::string& name = graph.params[param].name;
    known[param] = new_tensor(place == Place::gradient ? "d " + name : name, *layouts.desc[param]);
    plan.tensors.back().place = place;
    plan.tensors.back().param = param;
  }
  return known[param];
}

bool PlanBuilder::reads_rounded(ParamId param, DType wanted) const {
  return is_16_bit(wanted) && is_trained(graph.params[param].spec.role) &&
         backend.keeps_rounded_weights(wanted);
}

TensorId PlanBuilder::weight_as(const GraphNode& node, std::size_t index, const KernelOffer& offer,
                                Pass pass) {
  const ParamId param = node.params[index];
  if (!layouts.desc[param]) layouts.desc[param] = stored_desc(node, index, offer);
  const TensorDesc& wanted = offer.params[index];
  if (!reads_rounded(param, wanted.dtype)) {
    return converted(param_tensor(weights_, param, Place::weight), wanted, node, pass);
  }
  layouts.round_to(wanted.dtype);
  const TensorId rounded = param_tensor(rounded_, param, Place::rounded);
  plan.tensors[rounded].desc = in_dtype(plan.tensors[rounded].desc, wanted.dtype);
  return converted(rounded, wanted, node, pass);
}

TensorId PlanBuilder::gradient_tensor(ParamId param) {
  DAYBREAK_ASSERT(layouts.desc[param].has_value());
  return param_tensor(gradients_, param, Place::gradient);
}

TensorId PlanBuilder::new_statistics(const GraphNode& node) {
  const Shape shape{2, plan.shapes[node.output].c, 1, 1};
  return new_tensor(node.layer + " statistics", plain_desc(shape, param_dtype()));
}

KernelQuery PlanBuilder::query(const GraphNode& node, Pass pass) const {
  KernelQuery q;
  q.op = node.op.get();
  q.pass = pass;
  q.mode = request.mode;
  for (ValueId input : node.inputs) {
    q.inputs.push_back(in_dtype(value_desc(input), dtype_of(node)));
  }
  q.params = param_descs(node);
  q.params_fixed = params_fixed(node);
  return q;
}

std::vector<KernelOffer> PlanBuilder::offers(const GraphNode& node, const KernelQuery& query,
                                             std::string* reason) {
  try {
    return backend.offers(query, reason);
  } catch (const DeviceError& error) {
    throw DeviceError("layer \"" + node.layer + "\": " + error.what());
  }
}

ChosenOffer PlanBuilder::choose(const GraphNode& node, const KernelQuery& wanted) {
  KernelQuery query = wanted;
  std::string reason;
  std::vector<KernelOffer> found = offers(node, query, &reason);
  if (found.empty() && is_16_bit(dtype_of(node))) {  // conversions around the f32 kernel
    for (TensorDesc& input : query.inputs) input = in_dtype(input, DType::f32);
    query.output = in_dtype(query.output, DType::f32);
    found = offers(node, query, &reason);
  }
  if (found.empty()) {
    throw ConfigError(
        node.mark, fmt::format("layer \"{}\": {} ({}) is not available on {}: {}", node.layer,
                               node.op->describe(), to_string(query.pass), backend.name(), reason));
  }
  const OfferChoice choice = choose_(query, found);
  DAYBREAK_ASSERT(choice.index < found.size());
  return {std::move(found[choice.index]), choice.seconds};
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
