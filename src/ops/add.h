#pragma once

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// y = act(coeff[0] * x0 + coeff[1] * x1) for two inputs of equal shape. The activation is filled in
/// by the plan's fusion pass; its gradient is taken from the output.
struct Add final : Op {
  float coeff[2] = {1.0f, 1.0f};
  Activation act;

  OpKind kind() const override { return OpKind::add; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  bool differentiable(int) const override { return true; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.output = act.kind != ActKind::none}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
