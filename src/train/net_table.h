#pragma once

#include <string>

#include "graph/graph.h"
#include "plan/plan.h"

namespace daybreak {

/// The layers of a planned network as a text table with totals: name, operations, output,
/// parameters, FLOPs; with `kernels` also the kernels chosen.
std::string layer_table(const Graph& graph, const Plan& plan, bool kernels);

/// The same as cli.md's JSON of `describe`.
std::string describe_json(const Graph& graph, const Plan& plan);

}  // namespace daybreak
