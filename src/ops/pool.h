#pragma once

#include "ops/op.h"

namespace daybreak {

enum class PoolKind : std::uint8_t { max, average };

/// Max or average pooling over windows. Average counts padding as zeros when `count_padding`
/// (PyTorch's default), else divides by the pixels inside the picture. A maximum's gradient goes to
/// its first position in row order (PyTorch, cuDNN, Darknet); padding never wins.
struct Pool final : Op {
  PoolKind pool = PoolKind::max;
  int size_h = 2, size_w = 2;
  int stride_h = 2, stride_w = 2;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool ceil_mode = false;
  bool count_padding = true;

  OpKind kind() const override { return OpKind::pool; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  /// max: aux holds the winner of every window (backend's form); average reads nothing.
  Reads backward_reads() const override { return {.aux = pool == PoolKind::max}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
