#pragma once

#include "ops/op.h"

namespace daybreak {

/// y = x0 * x1. The second input has the first one's shape, or is repeated over the pixels
/// (C x 1 x 1: a factor for each channel) or over the channels (1 x H x W: one for each pixel).
struct Multiply final : Op {
  OpKind kind() const override { return OpKind::multiply; }
  std::string describe() const override { return "multiply"; }
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  bool differentiable(int) const override { return true; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override { return inputs[0].count(); }
};

}  // namespace daybreak
