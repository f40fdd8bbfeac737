#pragma once

#include <optional>
#include <vector>

#include "core/shape.h"
#include "graph/graph.h"

namespace daybreak {

/// How every parameter lies in memory. The first plan that uses a parameter decides (so the
/// training plan is built first); later plans reorder where their kernels want something else.
struct ParamLayouts {
  explicit ParamLayouts(std::size_t params) : desc(params) {}
  std::vector<std::optional<TensorDesc>> desc;  ///< by ParamId
};

}  // namespace daybreak
