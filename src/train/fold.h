#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "train/checkpoint_file.h"

namespace daybreak {

/// A network for inference only and its parameters, in which no batch norm follows a convolution or
/// a linear layer any more: w * s and (b - mean) * s + shift with s = scale / sqrt(var + eps), all
/// computed in double. The value ids are those of the graph it was made from.
struct FoldedModel {
  Graph graph;
  std::vector<NamedTensor> tensors;
};

/// `tensors` are exactly the parameters of `graph` (see read_weights_for). A batch norm whose input
/// somebody else reads, or that is kept for reading, stays.
FoldedModel fold_batch_norm(const Graph& graph, std::vector<NamedTensor> tensors,
                            const std::vector<ValueId>& keep);

}  // namespace daybreak
