#pragma once

#include <compare>
#include <cstdint>

#include "backend/cuda/context.h"
#include "core/shape.h"
#include "ops/act_kind.h"

namespace daybreak::cuda {

enum class ConvDirection : std::uint8_t { forward, backward_data, backward_weights };

/// What else a convolution does with its sums. Forward: y = act(sum + bias + residual), or
/// statistics of the sums as they are. Data gradient: what
/// Conv2d::chain says, the gradient being left in front of relu.
struct ConvEpilogue {
  bool bias = false;      ///< f32, one a channel
  bool residual = false;  ///< as y
  ActKind act = ActKind::none;
  float slope = 0.0f;       ///< of a leaky act
  bool statistics = false;  ///< sums of the values and of their squares, f32, one a channel
  bool chain = false;       ///< of a data gradient; alone

  bool changes_sums() const { return bias || residual || act != ActKind::none || chain; }
  bool any() const { return changes_sums() || statistics; }
  auto operator<=>(const ConvEpilogue&) const = default;
};

/// A convolution with its sides named as in the forward direction. x: input side [n, c, h, w]; y:
/// output side; w: [oc, ic/groups, kh, kw]. Groups follow from the channel counts.
struct ConvProblem {
  Shape x, w, y;
  DType dtype = DType::f32;    ///< of the tensors that are read
  DType written = DType::f32;  ///< of the tensor this direction writes
  Layout layout = kNhwc;       ///< of all three
  int stride_h = 1, stride_w = 1;
  int pad_h = 0, pad_w = 0;
  int dilation_h = 1, dilation_w = 1;
  ConvDirection direction = ConvDirection::forward;
  /// As part of the same kernel: x is made as it is loaded, relu(stored * scale + shift) with one
  /// of each a channel, of `dtype`, and zeros around it; not for data gradients.
  bool loads = false;
  ConvEpilogue epilogue;  ///< as part of the same kernel

  bool fuses() const { return loads || epilogue.any(); }

  auto operator<=>(const ConvProblem&) const = default;
};

/// The plain kernels, channels last, any groups, strides and dilations: for what cuDNN does not
/// serve. Each output is one sum in a fixed order. `w_type`: of the weights or their gradient;
/// x and y are of problem.dtype.
void launch_direct_conv(const Context& context, const ConvProblem& problem, DType w_type, void* x,
                        void* w, void* y);

}  // namespace daybreak::cuda
