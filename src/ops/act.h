#pragma once

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// Elementwise activation. The gradient is computed from the output alone where the derivative can
/// be told from it, else from the input alone; relu and leaky take the derivative for negative
/// inputs at 0.
struct Act final : Op {
  Activation act;

  OpKind kind() const override { return OpKind::act; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override {
    return {.inputs = needs_input(act.kind), .output = !needs_input(act.kind)};
  }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
