#pragma once

#include "ops/op.h"

namespace daybreak {

/// Instance normalisation over H, W of each sample and channel (Ulyanov et al. 2016), variance
/// divided by H*W, no running statistics. aux holds mean[N*C] and 1/sqrt(var+eps)[N*C].
struct InstanceNorm final : Op {
  float eps = 1e-5f;
  bool affine = false;

  OpKind kind() const override { return OpKind::instancenorm; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true, .aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
