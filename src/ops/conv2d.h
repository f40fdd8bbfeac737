#pragma once

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// 2-D cross-correlation with weight [OC, IC/groups, KH, KW] (the deep-learning "convolution"):
/// y[n,oc,oh,ow] = bias[oc] + sum over ic, kh, kw of
///   w[oc,ic,kh,kw] * x[n, g*IC/groups+ic, oh*stride-pad+kh*dilation, ow*stride-pad+kw*dilation].
struct Conv2d final : Op {
  int out_channels = 1;
  int kernel_h = 3, kernel_w = 3;
  int stride_h = 1, stride_w = 1;
  int pad_h = 1, pad_w = 1;  ///< zeros on each side
  int dilation_h = 1, dilation_w = 1;
  int groups = 1;
  bool bias = true;
  bool residual = false;  ///< a second input of the output's shape is added
  Activation act;         ///< of the sum; both are filled in by the plan's fusion for inference
  bool measures = false;  ///< training gives Bindings::statistics of the output
  /// Filled in by the plan's fusion for training where a batch norm with relu, scale and shift
  /// makes the input for this convolution alone. Pass::backward_data then gives
  /// Bindings::statistics, which the norm's gradient would start with: sums over N, H, W of g =
  /// dx[0] * relu'(z) and of g * xhat, [2][IC], with xhat the normalised values and z = xhat *
  /// scale + shift. dx[0] may be left as g: to multiply with relu' again changes nothing. Reads
  /// also x[1], the norm's input; aux, what the norm has saved; and, behind the own parameters in
  /// w, its scale and shift.
  bool chain = false;
  /// Filled in for training where the batch norm in front leaves its output to be made
  /// (BatchNorm::deferred): Pass::forward and Pass::backward_weights are given the norm's input as
  /// x[0], and what the norm has saved as aux, and compute with act(norm(x)). The border of zeros
  /// is that of the activated tensor. Comes with `chain`.
  bool loads = false;

  OpKind kind() const override { return OpKind::conv2d; }
  std::string describe() const override;
  int min_inputs() const override { return residual ? 2 : 1; }
  int max_inputs() const override { return residual ? 2 : 1; }
  Shape infer(std::span<const Shape> inputs) const override;
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.inputs = true, .aux = loads}; }
  bool splits_backward() const override { return true; }
  Statistics statistics() const override { return measures ? Statistics::given : Statistics::none; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
