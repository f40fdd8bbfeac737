#pragma once

#include "config/network_spec.h"
#include "graph/graph.h"
#include "layers/layer_builder.h"

namespace daybreak {

/// Lowers a network to a graph: pictures as bytes [N, H, W, C] -> normalised input -> layers ->
/// loss and metric. Throws ConfigError with every error of the layers: unknown types and options,
/// names, shapes, a class count other than the data's. `network.input.mean` and `std` must be
/// filled in (measured, when the file does not say).
Graph build_graph(const NetworkSpec& network, const BuildOptions& options);

}  // namespace daybreak
