#pragma once

#include <string>
#include <vector>

#include "plan/executor.h"
#include "train/checkpoint_file.h"

namespace daybreak {

/// Every parameter as a named tensor in file order, f32.
std::vector<NamedTensor> read_weights(Executor& executor);
/// The optimizer's arrays: "optimizer.SLOT.NAME", for trained parameters.
std::vector<NamedTensor> read_slots(Executor& executor);

/// Fills all parameters from a file. Throws DataError listing what is missing, unexpected or of
/// another shape, or naming a number that is not finite; with `partial`, parameters that are
/// missing or differ keep their values and are returned by name (for fine-tuning with another
/// head).
std::vector<std::string> write_weights(Executor& executor, const std::string& path,
                                       const std::vector<NamedTensor>& tensors, bool partial);
void write_slots(Executor& executor, const std::string& path,
                 const std::vector<NamedTensor>& tensors);

/// The weights of a file without the optimizer's arrays. Throws DataError unless they are exactly
/// the parameters of `graph`, all finite.
std::vector<NamedTensor> read_weights_for(const Graph& graph, const std::string& path);

/// Loads a safetensors file (any float type) of weights or a checkpoint.
std::vector<std::string> load_weights(Executor& executor, const std::string& path, bool partial);

/// SHA-256 over all parameters (and optimizer arrays), by name: equal means bit-equal.
std::string weights_digest(Executor& executor);

}  // namespace daybreak
