#pragma once

#include "ops/op.h"

namespace daybreak {

/// Inverted dropout: in training each element is zeroed with probability p and the rest divided by
/// 1 - p; the identity in evaluation. Element i of sample n (both logical, NCHW order) draws the
/// bits of Draws(seed, Purpose::dropout, step, (salt << 32) + n) at position i and is zeroed when
/// uniform_from_bits(bits) < p, so the mask does not depend on layout, threads or device; backward
/// draws it again instead of storing it.
struct Dropout final : Op {
  float p = 0.5f;
  std::uint32_t salt = 0;  ///< tells the dropouts of a network apart; set by the graph builder

  OpKind kind() const override { return OpKind::dropout; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
