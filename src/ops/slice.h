#pragma once

#include "ops/op.h"

namespace daybreak {

/// The channels begin .. begin + count - 1 of its input.
struct Slice final : Op {
  int begin = 0;
  int count = 1;

  OpKind kind() const override { return OpKind::slice; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape>) const override { return 0; }
};

}  // namespace daybreak
