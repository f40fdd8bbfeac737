#pragma once

#include <vector>

#include "graph/graph.h"

namespace daybreak {

/// The nodes of `graph` with batch norm + activation and add + activation joined into one op.
/// An activation is joined when it is relu or leaky, the only reader of its input, and that input
/// is not in `keep`. The fused node's output is the activation's, so no value id changes meaning.
std::vector<GraphNode> fuse(const Graph& graph, const std::vector<ValueId>& keep);

}  // namespace daybreak
