#pragma once

#include <string>
#include <utility>
#include <vector>

#include "plan/planner.h"

namespace daybreak {

struct ChosenOffer : KernelOffer {
  double measured_seconds = 0.0;
};

/// What forward and backward planning share: the plan under construction, the versions of every
/// value in different layouts, and the choice of an offer.
class PlanBuilder {
 public:
  PlanBuilder(const Graph& graph, Backend& backend, const PlanRequest& request,
              ParamLayouts& layouts, const OfferChooser& choose);

  const Graph& graph;
  Backend& backend;
  const PlanRequest& request;
  ParamLayouts& layouts;
  Plan plan;
  std::vector<GraphNode> nodes;  ///< fused, without those no kept value depends on

  TensorId new_tensor(std::string name, const TensorDesc& desc);
  /// A tensor of another shape or layout over the same bytes.
  TensorId new_alias(TensorId of, const TensorDesc& desc);
  /// Converts `from` to `desc`; returns `from` or an alias where no bytes have to move.
  TensorId converted(TensorId from, const TensorDesc& desc, const GraphNode& node, Pass pass);
  /// A value in the wanted layout, made once and remembered.
  TensorId value_as(ValueId value, const TensorDesc& desc, const GraphNode& node, Pass pass);
  void set_value(ValueId value, TensorId tensor);
  const TensorDesc& value_desc(ValueId value) const;

  /// The desc parameters are stored in, or plain while nobody has decided.
  std::vector<TensorDesc> param_descs(const GraphNode& node) const;
  TensorId weight_as(ParamId param, const TensorDesc& desc, const GraphNode& node, Pass pass);
  TensorId gradient_tensor(ParamId param);

  KernelQuery query(const GraphNode& node, Pass pass) const;
  ChosenOffer choose(const GraphNode& node, const KernelQuery& query);
  PlanStep& add_step(const GraphNode& node, Pass pass, const ChosenOffer& offer);
  TensorId workspace(const KernelOffer& offer, const GraphNode& node);

  bool trainable(ParamId param) const;

 private:
  const OfferChooser& choose_;
  std::vector<std::vector<TensorId>> versions_;  // by value
  std::vector<TensorId> weights_, gradients_;    // by param, in the stored layout
};

/// Appends the forward steps; returns the aux tensor of every node (kNone without).
std::vector<TensorId> plan_forward(PlanBuilder& builder);
/// Appends the backward steps.
void plan_backward(PlanBuilder& builder, const std::vector<TensorId>& aux);

}  // namespace daybreak
