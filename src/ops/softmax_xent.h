#pragma once

#include "ops/op.h"

namespace daybreak {

/// Softmax cross-entropy with integer labels, mean over the batch. Inputs: logits [N, K, 1, 1],
/// labels [N, 1, 1, 1] (i32). Output {1, 1, 1, 1}. With label smoothing e the target is
/// (1 - e) * onehot + e / K (PyTorch's form; Szegedy et al. 2016). aux holds softmax(logits).
struct SoftmaxXent final : Op {
  float label_smoothing = 0.0f;

  OpKind kind() const override { return OpKind::softmax_xent; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true, .aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
