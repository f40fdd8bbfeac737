#pragma once

#include "ops/op.h"

namespace daybreak {

/// The same numbers in NCHW order under another shape; the batch stays. One of c, h, w may be -1:
/// it is computed from the rest. Flatten is {-1, 1, 1}. Inputs and outputs are plain NCHW, so the
/// plan runs it without moving data where the producer allows.
struct Reshape final : Op {
  int c = -1, h = 1, w = 1;

  OpKind kind() const override { return OpKind::reshape; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
