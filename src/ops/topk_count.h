#pragma once

#include "ops/op.h"

namespace daybreak {

/// How many samples have their label among the 1 and the k largest scores: output {1, 2, 1, 1} =
/// (top-1 count, top-k count). Inputs as SoftmaxXent. A label's rank is the number of classes with
/// a larger score, plus those of equal score and smaller index. A sample with any non-finite score
/// counts as wrong. No gradient.
struct TopkCount final : Op {
  int k = 5;

  OpKind kind() const override { return OpKind::topk_count; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  bool differentiable(int) const override { return false; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
