#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/reshape.h"
#include "plan/plan_builder.h"

namespace daybreak {
namespace {

// An op that only renames its input's bytes: no kernel runs.
bool is_identity(const Op& op, Mode mode) {
  return op.kind() == OpKind::reshape || (op.kind() == OpKind::dropout && mode == Mode::eval);
}

void plan_identity(PlanBuilder& builder, const GraphNode& node) {
  const ValueId input = node.inputs[0];
  TensorDesc desc = builder.value_desc(input);
  if (node.op->kind() == OpKind::reshape) {
    desc = plain_desc(desc.shape, desc.dtype);  // the numbers' order is that of NCHW
  }
  const TensorId source = builder.value_as(input, desc, node, Pass::forward);
  desc.shape = builder.plan.shapes[node.output];
  if (node.op->kind() == OpKind::reshape) desc = plain_desc(desc.shape, desc.dtype);
  builder.set_value(node.output, builder.new_alias(source, desc));
}

void check_batchnorm(const PlanBuilder& builder, const GraphNode& node) {
  if (node.op->kind() != OpKind::batchnorm || builder.request.mode != Mode::train) return;
  const Shape& shape = builder.plan.shapes[node.inputs[0]];
  if (std::int64_t{shape.n} * shape.spatial() > 1) return;
  throw ConfigError(node.mark,
                    fmt::format("layer \"{}\": batch norm cannot train on one value per channel "
                                "(batch 1, 1 x 1 pixels); use a larger batch",
                                node.layer));
}

// The tensor of statistics that a node gives or takes; kNone when there is none.
TensorId statistics_of(PlanBuilder& builder, const GraphNode& node) {
  if (builder.request.mode != Mode::train) return kNone;
  switch (node.op->statistics()) {
    case Statistics::given:
      return builder.statistics(node.output) = builder.new_statistics(node);
    case Statistics::taken:
      DAYBREAK_ASSERT(builder.statistics(node.inputs[0]) != kNone);
      return builder.statistics(node.inputs[0]);
    case Statistics::none:
      break;
  }
  return kNone;
}

bool is_deferred(const GraphNode& node) {
  return node.op->kind() == OpKind::batchnorm && static_cast<const BatchNorm&>(*node.op).deferred;
}

// What the norm in front has saved for this node to apply on load; kNone where it does not.
TensorId loaded_from(const PlanBuilder& builder, const GraphNode& node,
                     const std::vector<TensorId>& aux) {
  if (node.op->kind() != OpKind::conv2d || !static_cast<const Conv2d&>(*node.op).loads) {
    return kNone;
  }
  const auto norm =
      std::find_if(builder.nodes.begin(), builder.nodes.end(),
                   [&](const GraphNode& other) { return other.output == node.inputs[0]; });
  return aux[static_cast<std::size_t>(norm - builder.nodes.begin())];
}

// `all_aux`: of the nodes before. Returns what backward will read of this one.
TensorId plan_node(PlanBuilder& builder, const GraphNode& node,
                   const std::vector<TensorId>& all_aux) {
  check_batchnorm(builder, node);
  KernelQuery query = builder.query(node, Pass::forward);
  const Shape& shape = builder.plan.shapes[node.output];
  query.output = plain_desc(shape, builder.dtype_of(node));
  const ChosenOffer offer = builder.choose(node, query);

  std::vector<TensorId> x, w;
  const bool deferred = is_deferred(node);  // its reader is given its input
  for (std::size_t i = 0; !deferred && i < node.inputs.size(); ++i) {
    x.push_back(builder.value_as(node.inputs[i], offer.inputs[i], node, Pass::forward));
  }
  for (std::size_t i = 0; i < node.params.size(); ++i) {
    w.push_back(builder.weight_as(node, i, offer, Pass::forward));
  }
  const TensorId y = deferred ? kNone : builder.new_tensor(node.layer, offer.output);
  TensorId aux = loaded_from(builder, node, all_aux);
  if (offer.aux_bytes > 0 && builder.request.mode == Mode::train) {
    const int words = static_cast<int>((offer.aux_bytes + 3) / 4);
    aux = builder.new_tensor(node.layer + " aux",
                             {Shape{1, words, 1, 1}, DType::f32, kNchw, offer.aux_bytes});
  }
  const TensorId workspace = builder.workspace(offer, node);
  const TensorId statistics = statistics_of(builder, node);
  PlanStep& step = builder.add_step(node, Pass::forward, offer);
  step.statistics = statistics;
  step.x = std::move(x);
  step.w = std::move(w);
  step.y = y;
  step.aux = aux;
  step.workspace = workspace;
  if (deferred) {
    builder.set_value(node.output, builder.plan.value_tensor[node.inputs[0]]);
    return aux;
  }
  const TensorDesc kept = builder.in_dtype(offer.output, builder.dtype_of(node));
  builder.set_value(node.output, builder.converted(y, kept, node, Pass::forward));
  return aux;
}

}  // namespace

std::vector<TensorId> plan_forward(PlanBuilder& builder) {
  std::vector<TensorId> aux(builder.nodes.size(), kNone);
  for (std::size_t i = 0; i < builder.nodes.size(); ++i) {
    const GraphNode& node = builder.nodes[i];
    if (is_identity(*node.op, builder.request.mode)) {
      plan_identity(builder, node);
    } else {
      join_on_load(builder, i);
      aux[i] = plan_node(builder, node, aux);
    }
  }
  return aux;
}

}  // namespace daybreak
