#pragma once

#include "ops/op.h"

namespace daybreak {

enum class DistanceKind : std::uint8_t { l1, l2, smooth_l1 };

/// Mean over all elements of |d| (l1), d^2 (l2, "MSE") or smooth L1 with d = x - target: 0.5 d^2 / beta
/// for |d| < beta, else |d| - 0.5 beta (Girshick 2015; PyTorch's form). Inputs: x, target of equal
/// shape. Output {1, 1, 1, 1}. The derivative of |d| at 0 is 0.
struct Distance final : Op {
  DistanceKind distance = DistanceKind::l2;
  float beta = 1.0f;

  OpKind kind() const override { return OpKind::distance; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  bool differentiable(int) const override { return true; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
