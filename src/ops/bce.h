#pragma once

#include "ops/op.h"

namespace daybreak {

/// Binary cross-entropy with logits, mean over all elements: max(x, 0) - x t + log1p(exp(-|x|)).
/// Inputs: logits, targets in [0, 1] of equal shape. Output {1, 1, 1, 1}.
struct Bce final : Op {
  OpKind kind() const override { return OpKind::bce; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
