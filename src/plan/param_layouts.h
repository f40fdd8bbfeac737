#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "core/shape.h"
#include "graph/graph.h"

namespace daybreak {

/// How every parameter lies in memory, and in which 16-bit types trained ones are kept once more
/// (RoundedWeights) because plans read them so. The first plan that uses a parameter decides (so
/// the training plan is built first); later plans reorder where their kernels want something else.
struct ParamLayouts {
  explicit ParamLayouts(std::size_t params) : desc(params) {}
  void round_to(DType dtype) {
    if (std::find(rounded.begin(), rounded.end(), dtype) == rounded.end()) rounded.push_back(dtype);
  }
  std::vector<std::optional<TensorDesc>> desc;  ///< by ParamId
  std::vector<DType> rounded;
};

}  // namespace daybreak
