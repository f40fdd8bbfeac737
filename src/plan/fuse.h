#pragma once

#include <functional>
#include <vector>

#include "graph/graph.h"
#include "ops/act_kind.h"

namespace daybreak {

/// The nodes of `graph` with batch norm + activation and add + activation joined into one op.
/// An activation is joined when it is relu or leaky, the only reader of its input, and that input
/// is not in `keep`. The fused node's output is the activation's, so no value id changes meaning.
std::vector<GraphNode> fuse(const Graph& graph, const std::vector<ValueId>& keep);

/// For training: batch norms with a leaky activation work in place (BatchNorm::in_place), and take
/// over the plain sum that alone reads them, which keeps one tensor of a residual block instead of
/// three. Left alone are norms whose scale starts at 0: nothing could be found again from their
/// output.
std::vector<GraphNode> fuse_in_place(std::vector<GraphNode> nodes, const Graph& graph,
                                     const std::vector<ValueId>& keep);

/// For training: batch norms take over the plain sum that alone reads them (BatchNorm::sum), and
/// without an activation of their own also the sum's (BatchNorm::act_last), and keep their input.
std::vector<GraphNode> fuse_sums(std::vector<GraphNode> nodes, const Graph& graph,
                                 const std::vector<ValueId>& keep);

/// For training: convolutions hand the statistics of their output to the batch norms that read it
/// (Statistics).
std::vector<GraphNode> fuse_statistics(std::vector<GraphNode> nodes, const Graph& graph);

/// For training: convolutions that alone read the output of a batch norm with relu hand it the sums
/// that its gradient starts with (Conv2d::chain).
std::vector<GraphNode> fuse_gradients(std::vector<GraphNode> nodes, const Graph& graph);

/// After both: the convolution, as an index into `nodes`, that alone reads batch norm `norm` and
/// can make what it reads as it loads its input (Conv2d::loads); kNone: there is none, or somebody
/// else wants the norm's output.
int loader_of(const std::vector<GraphNode>& nodes, std::size_t norm,
              const std::vector<ValueId>& keep);
/// Has `conv` make on load what `norm` then does not.
void fuse_load(GraphNode& norm, GraphNode& conv);

/// For evaluation: drops dropout, and joins a convolution with the activation that alone reads it,
/// or with the plain sum (and that sum's activation) that alone reads it: the convolution then runs
/// in the sum's place. `fuses` says which activations a convolution of the backend can end in.
std::vector<GraphNode> fuse_inference(std::vector<GraphNode> nodes, const Graph& graph,
                                      const std::vector<ValueId>& keep,
                                      const std::function<bool(const Activation&)>& fuses);

}  // namespace daybreak
