#include "plan/planner.h"

#include <algorithm>

#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/plan_builder.h"
#include "plan/precision.h"

namespace daybreak {
namespace {

Shape input_shape(const Graph& graph, const GraphInput& input, const PlanRequest& request) {
  Shape shape = graph.values[input.value].shape;
  shape.n = request.batch;
  if (input.role == InputRole::image) {
    if (request.height > 0) shape.h = request.height;
    if (request.width > 0) shape.w = request.width;
  }
  return shape;
}

std::vector<Shape> infer_shapes(const Graph& graph, const PlanRequest& request) {
  std::vector<Shape> shapes(graph.values.size());
  for (const GraphInput& input : graph.inputs) {
    shapes[input.value] = input_shape(graph, input, request);
  }
  for (const GraphNode& node : graph.nodes) {
    std::vector<Shape> inputs;
    for (ValueId input : node.inputs) inputs.push_back(shapes[input]);
    try {
      shapes[node.output] = node.op->infer(inputs);
      const std::vector<ParamSpec> specs = node.op->params(inputs);
      for (std::size_t i = 0; i < node.params.size(); ++i) {
        if (specs[i].dims != graph.params[node.params[i]].spec.dims) {
          throw ShapeError("the picture size changes the size of parameter \"" +
                           graph.params[node.params[i]].name +
                           "\"; use adaptive pooling before linear layers");
        }
      }
    } catch (const ShapeError& error) {
      throw ConfigError(node.mark, "layer \"" + node.layer + "\": " + error.what());
    }
  }
  return shapes;
}

// The fused nodes that a kept value depends on; a dropped loss drops its labels, too.
std::vector<GraphNode> needed_nodes(const Graph& graph, const PlanRequest& request,
                                    const Backend& backend) {
  std::vector<GraphNode> all;
  if (request.fuse) {
    all = fuse(graph, request.keep);
    if (request.mode == Mode::eval && backend.fuses_into_conv({})) {
      all = fuse_inference(std::move(all), graph, request.keep,
                           [&](const Activation& act) { return backend.fuses_into_conv(act); });
    }
    if (request.mode == Mode::train && backend.norms_in_place(request.dtype)) {
      all = fuse_in_place(std::move(all), graph, request.keep);
    }
    if (request.mode == Mode::train && backend.norms_with_sum(request.dtype)) {
      all = fuse_sums(std::move(all), graph, request.keep);
    }
    if (request.mode == Mode::train && backend.statistics_of_convs(request.dtype)) {
      all = fuse_gradients(fuse_statistics(std::move(all), graph), graph);
    }
  } else {
    all = graph.nodes;
  }
  std::vector<bool> needed(graph.values.size(), false);
  for (ValueId value : request.keep) needed[value] = true;
  std::vector<bool> take(all.size(), false);
  for (std::size_t i = all.size(); i-- > 0;) {
    take[i] = needed[all[i].output];
    if (!take[i]) continue;
    for (ValueId input : all[i].inputs) needed[input] = true;
  }
  std::vector<GraphNode> result;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (take[i]) result.push_back(std::move(all[i]));
  }
  return result;
}

void add_inputs(PlanBuilder& builder) {
  for (const GraphInput& input : builder.graph.inputs) {
    const Value& value = builder.graph.values[input.value];
    // Numbers come in f32 even when activations have 16 bits: what reads them converts.
    const bool wide = value.dtype == DType::f32 && builder.request.dtype == DType::f64;
    const DType dtype = wide ? DType::f64 : value.dtype;
    TensorDesc desc = plain_desc(builder.plan.shapes[input.value], dtype);
    if (value.dtype == DType::u8) desc.layout = kNhwc;
    const TensorId tensor = builder.new_tensor(value.name, desc);
    // Filled in before the first step, and kept so that a plan can run again without an upload.
    builder.plan.tensors[tensor].first = 0;
    builder.plan.tensors[tensor].pinned = true;
    builder.set_value(input.value, tensor);
  }
}

// Lets outputs take over the memory of an input that nobody reads afterwards.
void alias_in_place(Plan& plan, const Backend& backend) {
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    if (!step.in_place) continue;
    const bool forward = step.pass == Pass::forward;
    const TensorId target = forward ? step.y : (step.dx.empty() ? kNone : step.dx[0]);
    const TensorId source = forward ? step.x[0] : step.dy;
    if (target == kNone || source == kNone || plan.tensors[target].alias_of != kNone) continue;
    PlanTensor& from = plan.tensors[plan.root(source)];
    PlanTensor& to = plan.tensors[target];
    if (plan.root(source) == target || from.place != Place::arena || from.pinned ||
        from.last != static_cast<int>(i) || to.first != static_cast<int>(i) ||
        from.desc.bytes < to.desc.bytes ||
        !backend.same_bytes(plan.tensors[source].desc, to.desc)) {
      continue;
    }
    to.alias_of = plan.root(source);
    from.last = std::max(from.last, to.last);
    from.pinned = from.pinned || to.pinned;
  }
}

}  // namespace

Plan make_plan(const Graph& graph, Backend& backend, const PlanRequest& request,
               ParamLayouts& layouts, const OfferChooser& choose, const JoinChooser& join) {
  PlanBuilder builder(graph, backend, request, layouts, choose, join);
  builder.plan.shapes = infer_shapes(graph, request);
  builder.nodes = needed_nodes(graph, request, backend);
  builder.dtypes = node_dtypes(builder.nodes, graph.values.size(), request.dtype);
  add_inputs(builder);
  const std::vector<TensorId> aux = plan_forward(builder);
  builder.plan.forward_steps = builder.plan.steps.size();
  for (ValueId value : request.keep) {
    const TensorId tensor = builder.plan.value_tensor[value];
    if (tensor != kNone) builder.plan.tensors[builder.plan.root(tensor)].pinned = true;
  }
  if (request.mode == Mode::train) plan_backward(builder, aux);
  if (request.input_gradient) {
    for (const GraphInput& input : graph.inputs) {
      const TensorId gradient = builder.plan.value_gradient[input.value];
      if (gradient != kNone) builder.plan.tensors[builder.plan.root(gradient)].pinned = true;
    }
  }
  compute_lifetimes(builder.plan);
  alias_in_place(builder.plan, backend);
  place_tensors(builder.plan);
  return std::move(builder.plan);
}

}  // namespace daybreak
