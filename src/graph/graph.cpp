#include "graph/graph.h"

namespace daybreak {

ValueId Graph::input(InputRole role) const {
  for (const GraphInput& entry : inputs) {
    if (entry.role == role) return entry.value;
  }
  return kNone;
}

std::int64_t Graph::trained_parameters() const {
  std::int64_t total = 0;
  for (const Param& param : params) {
    if (is_trained(param.spec.role)) total += param.spec.shape.count();
  }
  return total;
}

std::int64_t Graph::flops() const {
  std::int64_t total = 0;
  std::vector<Shape> shapes;
  for (const GraphNode& node : nodes) {
    shapes.clear();
    for (ValueId value : node.inputs) shapes.push_back(values[value].shape);
    total += node.op->flops(shapes);
  }
  return total;
}

}  // namespace daybreak
