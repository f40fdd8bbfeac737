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
              ParamLayouts& layouts, const OfferChooser& choose, const JoinChooser& join);

  const Graph& graph;
  Backend& backend;
  const PlanRequest& request;
  ParamLayouts& layouts;
  const JoinChooser& join;  ///< may be empty
  Plan plan;
  std::vector<GraphNode> nodes;  ///< fused, without those no kept value depends on
  std::vector<DType> dtypes;     ///< by node: what it computes in

  TensorId new_tensor(std::string name, const TensorDesc& desc);
  /// A tensor of another shape or layout over the same bytes.
  TensorId new_alias(TensorId of, const TensorDesc& desc);
  /// The same tensor in another floating type; integers stay what they are.
  TensorDesc in_dtype(TensorDesc desc, DType dtype) const;
  /// Converts `from` to `desc`; returns `from` or an alias where no bytes have to move.
  /// Takes a copy of `desc`: that of a tensor of the plan would move when the plan grows.
  TensorId converted(TensorId from, TensorDesc desc, const GraphNode& node, Pass pass);
  /// A value in the wanted layout, made once and remembered.
  TensorId value_as(ValueId value, TensorDesc desc, const GraphNode& node, Pass pass);
  void set_value(ValueId value, TensorId tensor);
  TensorDesc value_desc(ValueId value) const;

  /// The desc parameters are stored in, or plain while nobody has decided.
  std::vector<TensorDesc> param_descs(const GraphNode& node) const;
  /// False while nobody has decided for one of them.
  bool params_fixed(const GraphNode& node) const;
  /// How parameter `index` will be stored if that offer decides it.
  TensorDesc stored_desc(const GraphNode& node, std::size_t index, const KernelOffer& offer) const;
  /// Parameter `index` of a node as an offer wants it. The first to ask decides how it is stored.
  /// One that is wanted in 16 bits is read from its rounded copy where the backend keeps one.
  TensorId weight_as(const GraphNode& node, std::size_t index, const KernelOffer& offer, Pass pass);
  TensorId gradient_tensor(ParamId param);
  /// Statistics of a value: kNone, or what the node that makes it gives (Op::statistics), or what
  /// its only reader says about its gradient (Conv2d::chain).
  TensorId& statistics(ValueId value) { return statistics_[value]; }
  TensorId new_statistics(const GraphNode& node);

  /// With floating inputs in the node's type: the plan converts values that are of another.
  KernelQuery query(const GraphNode& node, Pass pass) const;
  DType dtype_of(const GraphNode& node) const { return dtypes[&node - nodes.data()]; }
  /// What the backend has; its errors get the layer's name.
  std::vector<KernelOffer> offers(const GraphNode& node, const KernelQuery& query,
                                  std::string* reason);
  ChosenOffer choose(const GraphNode& node, const KernelQuery& query);
  PlanStep& add_step(const GraphNode& node, Pass pass, const ChosenOffer& offer);
  TensorId workspace(const KernelOffer& offer, const GraphNode& node);

  bool trainable(ParamId param) const;

 private:
  DType param_dtype() const;
  TensorId param_tensor(std::vector<TensorId>& known, ParamId param, Place place);
  bool reads_rounded(ParamId param, DType wanted) const;

  const OfferChooser& choose_;
  std::vector<std::vector<TensorId>> versions_;          // by value
  std::vector<TensorId> weights_, rounded_, gradients_;  // by param, in the stored layout
  std::vector<TensorId> statistics_;                     // by value
};

/// "nchw -> nChw16c", "f32 -> bf16": what a reorder step is called in tables.
std::string reorder_name(const Backend& backend, const TensorDesc& from, const TensorDesc& to);

/// Where batch norm `index` can leave its output to the convolution that reads it, asks
/// PlanBuilder::join whether it should, and changes both nodes. Its input has been planned.
void join_on_load(PlanBuilder& builder, std::size_t index);
/// Appends the forward steps; returns the aux tensor of every node (kNone without).
std::vector<TensorId> plan_forward(PlanBuilder& builder);
/// Appends the backward steps.
void plan_backward(PlanBuilder& builder, const std::vector<TensorId>& aux);

}  // namespace daybreak
