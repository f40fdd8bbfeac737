#pragma once

#include <string>

#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/traffic.h"

namespace daybreak {

/// The layers of a planned network as a text table with totals: name, operations, output,
/// parameters, FLOPs; with `kernels` also the kernels chosen.
std::string layer_table(const Graph& graph, const Plan& plan, bool kernels);

/// The kernels of convolutions and linear layers, a row a direction: name, the time measured when
/// it was chosen (reorders included), nominal GFLOP/s and their share of `peak_gflops` (0:
/// unknown).
std::string kernel_table(const Plan& plan, double peak_gflops);

/// Bytes that a step moves beside the fewest it could do with, a row a pass.
std::string traffic_table(const Traffic& traffic);

/// The same as cli.md's JSON of `describe`.
std::string describe_json(const Graph& graph, const Plan& plan, const Traffic& traffic,
                          double peak_gflops);

}  // namespace daybreak
