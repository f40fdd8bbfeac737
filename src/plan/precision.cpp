#include "plan/precision.h"

namespace daybreak {
namespace {

bool always_f32(OpKind kind) {
  switch (kind) {
    case OpKind::softmax:
    case OpKind::softmax_xent:
    case OpKind::hinge:
    case OpKind::distance:
    case OpKind::bce:
    case OpKind::topk_count:
    case OpKind::region_loss:
    case OpKind::yolo_loss:
    case OpKind::ssd_loss:
      return true;
    default:
      return false;
  }
}

bool f32_at_the_end(OpKind kind) {
  return kind == OpKind::linear || kind == OpKind::adaptive_avgpool;
}

// The layer `scale`, a sum of a value with itself.
bool is_scale(const GraphNode& node) {
  return node.op->kind() == OpKind::add && node.inputs[0] == node.inputs[1];
}

}  // namespace

std::vector<DType> node_dtypes(const std::vector<GraphNode>& nodes, std::size_t values,
                               DType dtype) {
  std::vector<DType> result(nodes.size(), dtype);
  if (!is_16_bit(dtype)) return result;
  std::vector<bool> read_in_16_bit(values, false);
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const GraphNode& node = nodes[i];
    const OpKind kind = node.op->kind();
    // Scores that a loss reads scaled are as good as read by it.
    if (always_f32(kind) || (is_scale(node) && !read_in_16_bit[node.output])) {
      result[i] = DType::f32;
      continue;
    }
    if (f32_at_the_end(kind) && !read_in_16_bit[node.output]) result[i] = DType::f32;
    for (ValueId input : node.inputs) read_in_16_bit[input] = true;
  }
  return result;
}

}  // namespace daybreak
