#pragma once

#include <string>
#include <vector>

#include "config/specs.h"
#include "graph/graph.h"
#include "ops/update.h"
#include "plan/param_store.h"

namespace daybreak {

/// The optimizer a backend runs for a solver's key.
OptimizerAttrs optimizer_attrs(const OptimizerSpec& spec);

/// True when one of the patterns names this parameter: a shell pattern ("backbone.*") over the
/// parameter's name or over one of its layers ("stem" and "stem.norm" both hold
/// "stem.norm.weight").
bool matches_any(const std::string& param_name, const std::vector<std::string>& patterns);

/// Frozen parameters by ParamId. Throws ConfigError for a pattern that matches nothing.
std::vector<bool> frozen_params(const Graph& graph, const std::vector<std::string>& patterns,
                                const Mark& mark);

/// Learning-rate factors, weight decay and freezing of every parameter. `decay_on: weights` spares
/// biases, norm scales and shifts. Throws ConfigError at `mark` for a group that matches nothing.
std::vector<ParamKnobs> param_knobs(const Graph& graph, const OptimizerSpec& spec,
                                    const std::vector<bool>& frozen, const Mark& mark = {});

}  // namespace daybreak
