#pragma once

#include <compare>
#include <cstdint>

#include "backend/cuda/context.h"
#include "core/shape.h"

namespace daybreak::cuda {

enum class ConvDirection : std::uint8_t { forward, backward_data, backward_weights };

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

  auto operator<=>(const ConvProblem&) const = default;
};

/// The plain kernels, channels last, any groups, strides and dilations: for what cuDNN does not
/// serve. Each output is one sum in a fixed order. `w_type`: of the weights or their gradient;
/// x and y are of problem.dtype.
void launch_direct_conv(const Context& context, const ConvProblem& problem, DType w_type, void* x,
                        void* w, void* y);

}  // namespace daybreak::cuda
