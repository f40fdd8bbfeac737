#pragma once

#include "ops/op.h"

namespace daybreak {

/// Average pooling to a fixed output size, PyTorch's adaptive windows: output i covers
/// [floor(i * in / out), ceil((i + 1) * in / out)). Size 1 x 1 is global average pooling.
struct AdaptiveAvgPool final : Op {
  int out_h = 1, out_w = 1;

  OpKind kind() const override { return OpKind::adaptive_avgpool; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
