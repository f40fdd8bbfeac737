#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"

namespace daybreak {

/// A layer as `describe` shows it: figures of all operations it was lowered to.
struct LayerSummary {
  std::string name;
  std::string ops;            ///< "conv 3x3, batchnorm, leaky"
  Shape output;
  std::int64_t params = 0;    ///< trained
  std::int64_t flops = 0;     ///< forward, per sample; a multiply-add counts as 2
  std::string kernels;        ///< of the forward pass
};

/// The layers of a planned network in order. Joined operations (batch norm + activation) appear
/// under the layer that has them.
std::vector<LayerSummary> summarize(const Graph& graph, const Plan& plan);

}  // namespace daybreak
