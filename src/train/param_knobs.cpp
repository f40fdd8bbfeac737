#include "train/param_knobs.h"

#include <fnmatch.h>

#include <algorithm>

namespace daybreak {

OptimizerAttrs optimizer_attrs(const OptimizerSpec& spec) {
  OptimizerAttrs attrs;
  switch (spec.type) {
    case OptimizerType::sgd:
      attrs.kind = OptimizerKind::sgd;
      break;
    case OptimizerType::adagrad:
      attrs.kind = OptimizerKind::adagrad;
      break;
    case OptimizerType::rmsprop:
      attrs.kind = OptimizerKind::rmsprop;
      break;
    case OptimizerType::adadelta:
      attrs.kind = OptimizerKind::adadelta;
      break;
    case OptimizerType::adam:
    case OptimizerType::adamw:
      attrs.kind = OptimizerKind::adam;
      break;
  }
  attrs.nesterov = spec.nesterov;
  attrs.dampening = static_cast<float>(spec.dampening);
  attrs.lr_in_slot = spec.lr_in_slot;
  attrs.centered = spec.centered;
  attrs.alpha = static_cast<float>(spec.alpha);
  attrs.rho = static_cast<float>(spec.rho);
  attrs.beta2 = static_cast<float>(spec.beta2);
  attrs.eps = static_cast<float>(spec.eps);
  attrs.decay = spec.decay == WeightDecayForm::l2 ? DecayForm::l2 : DecayForm::decoupled;
  return attrs;
}

bool matches_any(const std::string& param_name, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (fnmatch(pattern.c_str(), param_name.c_str(), 0) == 0) return true;
    for (std::size_t dot = param_name.find('.'); dot != std::string::npos;
         dot = param_name.find('.', dot + 1)) {
      if (fnmatch(pattern.c_str(), param_name.substr(0, dot).c_str(), 0) == 0) return true;
    }
  }
  return false;
}

std::vector<bool> frozen_params(const Graph& graph, const std::vector<std::string>& patterns,
                                const Mark& mark) {
  for (const std::string& pattern : patterns) {
    const bool found =
        std::any_of(graph.params.begin(), graph.params.end(),
                    [&](const Param& param) { return matches_any(param.name, {pattern}); });
    if (!found) {
      throw ConfigError(mark, "\"freeze\": \"" + pattern + "\" matches no layer of network \"" +
                                  graph.name + "\"");
    }
  }
  std::vector<bool> frozen;
  for (const Param& param : graph.params) frozen.push_back(matches_any(param.name, patterns));
  return frozen;
}

namespace {

// The first group that names the parameter, or one that changes nothing.
LrGroup group_of(const std::string& name, const std::vector<LrGroup>& groups) {
  for (const LrGroup& group : groups) {
    if (matches_any(name, {group.match})) return group;
  }
  return {};
}

void check_groups(const Graph& graph, const std::vector<LrGroup>& groups, const Mark& mark) {
  for (const LrGroup& group : groups) {
    const bool found =
        std::any_of(graph.params.begin(), graph.params.end(),
                    [&](const Param& param) { return matches_any(param.name, {group.match}); });
    if (found) continue;
    throw ConfigError(mark, "\"groups\": \"" + group.match + "\" matches no layer of network \"" +
                                graph.name + "\"");
  }
}

}  // namespace

std::vector<ParamKnobs> param_knobs(const Graph& graph, const OptimizerSpec& spec,
                                    const std::vector<bool>& frozen, const Mark& mark) {
  check_groups(graph, spec.groups, mark);
  std::vector<ParamKnobs> knobs(graph.params.size());
  for (std::size_t p = 0; p < knobs.size(); ++p) {
    const ParamRole role = graph.params[p].spec.role;
    const bool weight = role == ParamRole::weight;
    const bool decays = weight || spec.decay_on == DecayOn::all;
    const bool shift = role == ParamRole::bias || role == ParamRole::norm_shift;
    const LrGroup group = group_of(graph.params[p].name, spec.groups);
    knobs[p].weight_decay =
        decays ? static_cast<float>(spec.weight_decay * group.decay_scale) : 0.0f;
    knobs[p].lr_scale = static_cast<float>((shift ? spec.bias_lr : 1.0) * group.lr_scale);
    knobs[p].frozen = frozen[p];
  }
  return knobs;
}

}  // namespace daybreak
