#pragma once

#include <cmath>

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// Batch normalisation over N, H, W of each channel (Ioffe and Szegedy 2015), PyTorch's form:
/// y = act((x - mean) / sqrt(var + eps) * scale + shift). Training normalises with the batch
/// variance divided by N*H*W; the running variance takes the one divided by N*H*W - 1:
/// running = (1 - momentum) * running + momentum * batch. Serves 1-d (h = w = 1) and 2-d inputs.
/// Training with N*H*W = 1 is an error.
///
/// The plan's fusion passes fill in the activation and the forms below. `in_place` (Rota Bulo et
/// al. 2018, "In-Place Activated BatchNorm") says that backward finds the input again from the
/// output, so that nobody has to keep it: x - mean = (act^-1(y) - shift) / (scale / std). With
/// `sum` a second input, a residual, is added after the activation, and in place backward subtracts
/// it first. Where |scale| <= 1e-5 |shift| (CUDA: 1/128 in bf16, 1/1024 in f16) nothing of x is
/// left in y: such a channel's scale gets no gradient. `act_last` puts the activation (relu or
/// leaky) behind the sum; backward then tells its slope from the output. With `measured` the
/// convolution before the norm hands the batch's statistics over, and with `chained` the one behind
/// it the sums that the gradient starts with (Conv2d::chain). With `deferred` that one also makes
/// the output, as it loads its input (Conv2d::loads): forward writes none and reads no input.
struct BatchNorm final : Op {
  float eps = 1e-5f;
  float momentum = 0.1f;  ///< share of the batch in the running statistics
  bool affine = true;     ///< with scale and shift
  Activation act;
  bool in_place = false;  ///< none or leaky with a positive slope
  bool sum = false;       ///< y = act(...) + inputs[1]
  bool act_last = false;  ///< with sum, not in place: y = act(... + inputs[1])
  bool measured = false;  ///< training takes Bindings::statistics of the input
  bool chained = false;   ///< backward takes Bindings::statistics: sums of g and of g * xhat
  bool deferred = false;  ///< measured, chained, affine: training makes aux alone

  /// Of a deferred norm, each C numbers in the type of parameters, aux holds the two rows that
  /// every norm leaves, then scale and shift, and two that a backend uses as it likes.
  static constexpr int kDeferredRows = 6;

  OpKind kind() const override { return OpKind::batchnorm; }
  int min_inputs() const override { return sum ? 2 : 1; }
  int max_inputs() const override { return sum ? 2 : 1; }
  bool differentiable(int input) const override { return input <= (sum ? 1 : 0); }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  /// weight, bias (when affine), running_mean, running_var: always in this order.
  std::vector<ParamSpec> params(std::span<const Shape> inputs) const override;
  /// Its input, or in place its output, never both: the activation's sign is that of either. Behind
  /// a sum it is the output's.
  /// aux holds mean[C] and 1/sqrt(var+eps)[C].
  Reads backward_reads() const override {
    if (!in_place) return {.inputs = true, .output = act_last, .aux = true, .end_input = 1};
    return {.inputs = sum, .output = true, .aux = true, .first_input = 1};
  }
  Statistics statistics() const override { return measured ? Statistics::taken : Statistics::none; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

/// True when a channel's input can be found again from its output.
inline bool recoverable(double scale, double shift) {
  return std::abs(scale) > 1e-5 * std::abs(shift) && scale != 0.0;
}

}  // namespace daybreak
