#pragma once

#include "ops/op.h"

namespace daybreak {

/// y = x W^T + b over the flattened sample; weight [OUT, IN] with IN = C*H*W in NCHW order.
struct Linear final : Op {
  int outputs = 1;
  bool bias = true;

  OpKind kind() const override { return OpKind::linear; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  bool splits_backward() const override { return true; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
