#include <algorithm>

#include "core/error.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "plan/plan_builder.h"

namespace daybreak {
namespace {

// Walks the nodes backwards. A value's gradient is one tensor in the value's own layout; the first
// reader's contribution becomes that tensor, later ones are added to it.
class BackwardPlanner {
 public:
  BackwardPlanner(PlanBuilder& builder, const std::vector<TensorId>& aux)
      : b_(builder),
        aux_(aux),
        needs_gradient_(builder.graph.values.size(), false),
        producer_done_(builder.graph.values.size(), true),
        weight_written_(builder.graph.params.size(), false) {}

  void run() {
    mark_needed();
    seed_loss();
    for (std::size_t i = b_.nodes.size(); i-- > 0;) {
      const GraphNode& node = b_.nodes[i];
      if (gradient(node.output) != kNone) plan_node(node, aux_[i]);
      producer_done_[node.output] = true;
    }
  }

 private:
  TensorId& gradient(ValueId value) { return b_.plan.value_gradient[value]; }
  TensorDesc desc(TensorId id) const { return b_.plan.tensors[id].desc; }

  bool any_trainable(const GraphNode& node) const {
    return std::any_of(node.params.begin(), node.params.end(),
                       [&](ParamId p) { return b_.trainable(p); });
  }

  void mark_needed() {
    if (b_.request.input_gradient) {
      for (const GraphInput& input : b_.graph.inputs) {
        needs_gradient_[input.value] = b_.graph.values[input.value].dtype == DType::f32;
      }
    }
    for (const GraphNode& node : b_.nodes) {
      bool needed = any_trainable(node);
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        needed |= node.op->differentiable(static_cast<int>(i)) && needs_gradient_[node.inputs[i]];
      }
      needs_gradient_[node.output] = needed;
      producer_done_[node.output] = false;
    }
  }

  void seed_loss() {
    const ValueId loss = b_.graph.loss;
    if (loss == kNone || b_.plan.value_tensor[loss] == kNone || !needs_gradient_[loss]) return;
    gradient(loss) = b_.new_tensor("d loss", b_.value_desc(loss));
    b_.plan.tensors.back().place = Place::constant;
    b_.plan.loss_gradient = gradient(loss);
  }

  std::vector<bool> wanted(const GraphNode& node) const {
    std::vector<bool> result;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      result.push_back(node.op->differentiable(static_cast<int>(i)) &&
                       needs_gradient_[node.inputs[i]]);
    }
    return result;
  }

  void plan_node(const GraphNode& node, TensorId aux) {
    const std::vector<bool> want = wanted(node);
    const bool want_dx = std::find(want.begin(), want.end(), true) != want.end();
    const bool want_dw = any_trainable(node);
    if (!want_dx && !want_dw) return;
    switch (node.op->kind()) {
      case OpKind::reshape:
        return pass_through_reshape(node);
      case OpKind::add:
        if (plan_add(node, aux, want)) return;
        break;
      case OpKind::batchnorm:
        if (plan_norm_with_sum(node, aux, want, want_dw)) return;
        break;
      default:
        break;
    }
    if (!node.op->splits_backward()) {
      plan_pass(node, Pass::backward, aux, want, want_dw);
      return;
    }
    // Weights first: afterwards the input is not needed any more and its memory is free for dx.
    if (want_dw) plan_pass(node, Pass::backward_weights, aux, {}, true);
    if (want_dx) plan_pass(node, Pass::backward_data, aux, want, false);
  }

  void pass_through_reshape(const GraphNode& node) {
    const TensorDesc out = desc(gradient(node.output));
    const TensorId plain =
        b_.converted(gradient(node.output), plain_desc(out.shape, out.dtype), node, Pass::backward);
    const Shape& shape = b_.plan.shapes[node.inputs[0]];
    contribute(node.inputs[0], b_.new_alias(plain, plain_desc(shape, out.dtype)), node);
  }

  // A plain sum hands its gradient on as it is. With an activation, that of the activation is
  // computed once and shared. False when the coefficients need a kernel per input.
  bool plan_add(const GraphNode& node, TensorId aux, const std::vector<bool>& want) {
    const Add& add = static_cast<const Add&>(*node.op);
    if (add.coeff[0] != 1.0f || add.coeff[1] != 1.0f) return false;
    TensorId shared = gradient(node.output);
    if (add.act.kind != ActKind::none) {
      const int first = want[0] ? 0 : 1;
      std::vector<bool> one(2, false);
      one[first] = true;
      shared = emit(node, Pass::backward, aux, one, false)[first];
    }
    for (int i = 0; i < 2; ++i) {
      if (want[i]) contribute(node.inputs[i], shared, node);
    }
    return true;
  }

  // The residual's gradient is the sum's, shared like that of a plain sum; behind the sum's
  // activation it is the kernel's to make.
  bool plan_norm_with_sum(const GraphNode& node, TensorId aux, const std::vector<bool>& want,
                          bool want_dw) {
    const auto& norm = static_cast<const BatchNorm&>(*node.op);
    if (!norm.sum || norm.act_last) return false;
    if (want[0] || want_dw) plan_pass(node, Pass::backward, aux, {want[0], false}, want_dw);
    if (want[1]) contribute(node.inputs[1], gradient(node.output), node);
    return true;
  }

  void plan_pass(const GraphNode& node, Pass pass, TensorId aux, const std::vector<bool>& want,
                 bool want_dw) {
    const std::vector<TensorId> dx = emit(node, pass, aux, want, want_dw);
    for (std::size_t i = 0; i < dx.size(); ++i) {
      if (dx[i] != kNone) contribute(node.inputs[i], dx[i], node);
    }
  }

  // Emits one kernel call; returns the tensors of the wanted input gradients.
  std::vector<TensorId> emit(const GraphNode& node, Pass pass, TensorId aux,
                             const std::vector<bool>& want, bool want_dw) {
    KernelQuery query = b_.query(node, pass);
    query.output = b_.in_dtype(desc(gradient(node.output)), b_.dtype_of(node));
    query.want_dx = want;
    query.want_dx.resize(node.inputs.size(), false);
    query.want_dw = want_dw;
    const ChosenOffer offer = b_.choose(node, query);

    PlanStep step;
    step.dy = b_.converted(gradient(node.output), offer.output, node, pass);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      step.x.push_back(
          offer.reads.input(i) ? b_.value_as(node.inputs[i], offer.inputs[i], node, pass) : kNone);
      step.dx.push_back(
          query.want_dx[i]
              ? b_.new_tensor("d " + b_.graph.values[node.inputs[i]].name, offer.inputs[i])
              : kNone);
    }
    if (offer.reads.output) step.y = b_.value_as(node.output, offer.output, node, pass);
    if (offer.reads.aux) step.aux = aux;
    if (pass != Pass::backward_weights) {
      for (std::size_t i = 0; i < node.params.size(); ++i) {
        step.w.push_back(b_.weight_as(node, i, offer, pass));
      }
    }
    const std::vector<TensorId> dw =
        want_dw ? weight_targets(node, offer) : std::vector<TensorId>();
    step.dw = dw;
    step.workspace = b_.workspace(offer, node);
    bind_chain(node, pass, offer, step);

    PlanStep& added = b_.add_step(node, pass, offer);
    added.x = std::move(step.x);
    added.dx = step.dx;
    added.w = std::move(step.w);
    added.dw = std::move(step.dw);
    added.y = step.y;
    added.dy = step.dy;
    added.aux = step.aux;
    added.workspace = step.workspace;
    added.statistics = step.statistics;
    finish_weights(node, dw, pass);
    return step.dx;
  }

  const GraphNode& maker(ValueId value) const {
    return *std::find_if(b_.nodes.begin(), b_.nodes.end(),
                         [&](const GraphNode& node) { return node.output == value; });
  }

  // What passes between a convolution's data gradient and that of the norm before it
  // (Conv2d::chain).
  void bind_chain(const GraphNode& node, Pass pass, const KernelOffer& offer, PlanStep& step) {
    const OpKind kind = node.op->kind();
    if (kind == OpKind::batchnorm && static_cast<const BatchNorm&>(*node.op).chained) {
      step.statistics = b_.statistics(node.output);
      DAYBREAK_ASSERT(step.statistics != kNone);
    }
    if (kind != OpKind::conv2d || pass != Pass::backward_data) return;
    if (!static_cast<const Conv2d&>(*node.op).chain) return;
    const GraphNode& norm = maker(node.inputs[0]);
    step.x.push_back(b_.value_as(norm.inputs[0], offer.inputs[0], node, pass));
    step.aux = aux_[&norm - b_.nodes.data()];
    KernelOffer params;
    for (ParamId param : norm.params) {
      const TensorDesc stored = *b_.layouts.desc[param];
      params.params.push_back(plain_desc(stored.shape, stored.dtype));
    }
    for (std::size_t i = 0; i < 2; ++i) step.w.push_back(b_.weight_as(norm, i, params, pass));
    step.statistics = b_.statistics(node.inputs[0]) = b_.new_statistics(norm);
  }

  // Where a kernel writes the parameters' gradients: straight into the gradient arena, or a
  // temporary when the layout differs or another use of the parameter has written there already.
  std::vector<TensorId> weight_targets(const GraphNode& node, const KernelOffer& offer) {
    std::vector<TensorId> targets;
    for (std::size_t i = 0; i < node.params.size(); ++i) {
      const ParamId param = node.params[i];
      if (!b_.trainable(param)) {
        targets.push_back(kNone);
        continue;
      }
      const TensorId final = b_.gradient_tensor(param);
      const bool same =
          desc(final) == offer.params[i] || b_.backend.same_bytes(desc(final), offer.params[i]);
      targets.push_back(same && !weight_written_[param]
                            ? final
                            : b_.new_tensor("d " + b_.graph.params[param].name, offer.params[i]));
    }
    return targets;
  }

  void finish_weights(const GraphNode& node, const std::vector<TensorId>& targets, Pass pass) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] == kNone) continue;
      const ParamId param = node.params[i];
      const TensorId final = b_.gradient_tensor(param);
      if (targets[i] != final) {
        if (weight_written_[param]) {
          const TensorId same = b_.converted(targets[i], desc(final), node, pass);
          add_accumulate(final, same, node);
        } else {
          add_reorder(targets[i], final, node, pass);
        }
      }
      weight_written_[param] = true;
    }
  }

  void add_reorder(TensorId from, TensorId to, const GraphNode& node, Pass pass) {
    PlanStep step;
    step.kind = StepKind::reorder;
    step.layer = node.layer;
    step.op = "reorder";
    step.kernel = reorder_name(b_.backend, desc(from), desc(to));
    step.pass = pass;
    step.x = {from};
    step.y = to;
    step.make = [&backend = b_.backend, source = desc(from), target = desc(to)] {
      return backend.reorder(source, target);
    };
    b_.plan.steps.push_back(std::move(step));
  }

  void add_accumulate(TensorId to, TensorId from, const GraphNode& node) {
    PlanStep step;
    step.kind = StepKind::accumulate;
    step.layer = node.layer;
    step.op = "accumulate";
    step.kernel = "accumulate";
    step.pass = Pass::backward;
    step.x = {from};
    step.y = to;
    step.make = [&backend = b_.backend, d = desc(to)] { return backend.accumulate(d); };
    b_.plan.steps.push_back(std::move(step));
  }

  // True when another value's gradient lies in the same memory.
  bool is_gradient_of_other(TensorId id, ValueId value, bool pending_only = false) const {
    const TensorId root = b_.plan.root(id);
    for (std::size_t v = 0; v < b_.plan.value_gradient.size(); ++v) {
      const TensorId other = b_.plan.value_gradient[v];
      if (static_cast<ValueId>(v) == value || other == kNone) continue;
      if (pending_only && producer_done_[v]) continue;
      if (b_.plan.root(other) == root) return true;
    }
    return false;
  }

  // The same, for gradients that are still to be read.
  bool shared_with_pending(TensorId id, ValueId value) const {
    return is_gradient_of_other(id, value, /*pending_only=*/true);
  }

  void contribute(ValueId value, TensorId id, const GraphNode& node) {
    id = b_.converted(id, b_.value_desc(value), node, Pass::backward);
    if (gradient(value) == kNone) {
      gradient(value) = id;
      return;
    }
    producer_done_[node.output] = true;  // this node has read its own gradient by now
    if (shared_with_pending(gradient(value), value)) {
      if (!is_gradient_of_other(id, value)) {
        std::swap(gradient(value), id);  // add the shared one to the private one
      } else {
        const TensorId copy = b_.new_tensor("d " + b_.graph.values[value].name, desc(id));
        add_reorder(gradient(value), copy, node, Pass::backward);
        gradient(value) = copy;
      }
    }
    add_accumulate(gradient(value), id, node);
  }

  PlanBuilder& b_;
  const std::vector<TensorId>& aux_;
  std::vector<bool> needs_gradient_;
  std::vector<bool> producer_done_;   // by value: its producer's backward has been planned
  std::vector<bool> weight_written_;  // by param
};

}  // namespace

void plan_backward(PlanBuilder& builder, const std::vector<TensorId>& aux) {
  BackwardPlanner(builder, aux).run();
}

}  // namespace daybreak
