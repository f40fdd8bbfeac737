#pragma once

#include "ops/op.h"

namespace daybreak {

/// Transposed convolution: the data gradient of Conv2d as a forward operation.
/// Weight [IC, OC/groups, KH, KW] as in PyTorch; output extent
/// (in - 1) * stride - 2 * pad + dilation * (kernel - 1) + output_pad + 1.
struct Conv2dTranspose final : Op {
  int out_channels = 1;
  int kernel_h = 4, kernel_w = 4;
  int stride_h = 2, stride_w = 2;
  int pad_h = 1, pad_w = 1;
  int output_pad_h = 0, output_pad_w = 0;
  int dilation_h = 1, dilation_w = 1;
  int groups = 1;
  bool bias = true;

  OpKind kind() const override { return OpKind::conv2d_transpose; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true}; }
  bool splits_backward() const override { return true; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
