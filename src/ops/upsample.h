#pragma once

#include "ops/op.h"

namespace daybreak {

enum class UpsampleKind : std::uint8_t { nearest, bilinear };

/// Upsampling by an integer factor. Bilinear uses half-pixel centres with clamped borders
/// (PyTorch's align_corners = false, OpenCV's INTER_LINEAR).
struct Upsample final : Op {
  UpsampleKind upsample = UpsampleKind::nearest;
  int scale = 2;

  OpKind kind() const override { return OpKind::upsample; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
