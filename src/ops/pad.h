#pragma once

#include "ops/op.h"

namespace daybreak {

/// zero; reflect: dcb|abcd|cba (needs pad < size); symmetric: cba|abcd|dcb (needs pad <= size).
enum class PadKind : std::uint8_t { zero, reflect, symmetric };

/// Adds a border to height and width; a negative border (zero only) cuts off instead.
struct Pad final : Op {
  PadKind pad = PadKind::zero;
  int top = 0, left = 0, bottom = 0, right = 0;

  OpKind kind() const override { return OpKind::pad; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
