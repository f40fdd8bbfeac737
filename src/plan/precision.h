#pragma once

#include <vector>

#include "graph/graph.h"

namespace daybreak {

/// The type every node computes in when activations are of `dtype`. With 16-bit activations losses,
/// softmax and metrics stay in f32, and so does a linear layer or a global pool that only they read
/// (or nobody: the prediction): its few numbers cost nothing, and rounding them shows in the loss.
std::vector<DType> node_dtypes(const std::vector<GraphNode>& nodes, std::size_t values,
                               DType dtype);

constexpr bool is_16_bit(DType dtype) {
  return dtype == DType::bf16 || dtype == DType::f16;
}
constexpr bool is_floating(DType dtype) {
  return dtype != DType::u8 && dtype != DType::i32;
}

}  // namespace daybreak
