#pragma once

#include "ops/op.h"

namespace daybreak {

/// Joins inputs along the channels, in the order given. Batch, height and width must agree.
struct Concat final : Op {
  OpKind kind() const override { return OpKind::concat; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 64; }
  bool differentiable(int) const override { return true; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
