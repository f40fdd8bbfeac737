#pragma once

#include "ops/op.h"

namespace daybreak {

/// Softmax over the channels at every sample and pixel, with the maximum subtracted first.
struct Softmax final : Op {
  OpKind kind() const override { return OpKind::softmax; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.output = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
