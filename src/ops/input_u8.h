#pragma once

#include <vector>

#include "ops/op.h"

namespace daybreak {

/// Pictures as bytes to normalised numbers: y[n,c,h,w] = (x[n,h,w,c'] * scale - mean[c]) / std[c]
/// with c' = C - 1 - c when `reverse_channels` (the network wants BGR), else c. The input is u8 in
/// layout NHWC. Mean and std are in the units after scaling. No gradient.
struct InputU8 final : Op {
  std::vector<float> mean;  ///< one per channel
  std::vector<float> std;
  float scale = 1.0f / 255.0f;
  bool reverse_channels = false;

  OpKind kind() const override { return OpKind::input_u8; }
  std::string describe() const override;
  bool differentiable(int) const override { return false; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
