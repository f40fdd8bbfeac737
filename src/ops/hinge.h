#pragma once

#include "ops/op.h"

namespace daybreak {

/// Multiclass SVM loss (Crammer and Singer; cs231n's form): sum over j != y of
/// max(0, s_j - s_y + margin), mean over the batch. Inputs as SoftmaxXent. Output {1, 1, 1, 1}.
struct Hinge final : Op {
  float margin = 1.0f;

  OpKind kind() const override { return OpKind::hinge; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
