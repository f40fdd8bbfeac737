#pragma once

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// Batch normalisation over N, H, W of each channel (Ioffe and Szegedy 2015), PyTorch's form:
/// y = act((x - mean) / sqrt(var + eps) * scale + shift). Training normalises with the batch
/// variance divided by N*H*W; the running variance takes the one divided by N*H*W - 1:
/// running = (1 - momentum) * running + momentum * batch. Serves 1-d (h = w = 1) and 2-d inputs.
/// Training with N*H*W = 1 is an error. The activation is filled in by the plan's fusion pass.
struct BatchNorm final : Op {
  float eps = 1e-5f;
  float momentum = 0.1f;  ///< share of the batch in the running statistics
  bool affine = true;     ///< with scale and shift
  Activation act;

  OpKind kind() const override { return OpKind::batchnorm; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  /// weight, bias (when affine), running_mean, running_var: always in this order.
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  /// Reads its input, never its output: the activation's sign is recomputed from the input, so the
  /// output can be freed as soon as its readers are done. aux holds mean[C] and 1/sqrt(var+eps)[C].
  Reads backward_reads() const override { return {.inputs = true, .aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
