#include "ops/conv2d_transpose.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

namespace {

std::int64_t output_extent(int in, int size, int stride, int pad, int output_pad, int dilation) {
  check_at_least(size, 1, "kernel size");
  check_at_least(stride, 1, "stride");
  check_at_least(pad, 0, "padding");
  check_at_least(output_pad, 0, "output padding");
  check_at_least(dilation, 1, "dilation");
  // Otherwise the rows added would not belong to any input pixel (PyTorch's rule too).
  if (output_pad >= stride && output_pad >= dilation) {
    throw ShapeError(
        fmt::format("output padding {} must be smaller than the stride {} or the dilation {}",
                    output_pad, stride, dilation));
  }
  const std::int64_t out = (std::int64_t{in} - 1) * stride - 2 * std::int64_t{pad} +
                           std::int64_t{dilation} * (size - 1) + output_pad + 1;
  if (out < 1) {
    throw ShapeError(
        fmt::format("an input of {} gives an output of {}: padding {} is too large", in, out, pad));
  }
  return out;
}

}  // namespace

std::string Conv2dTranspose::describe() const {
  std::string text = fmt::format("conv_transpose {}x{}/{}", kernel_h, kernel_w, stride_h);
  if (stride_w != stride_h) text += fmt::format("x{}", stride_w);
  if (dilation_h != 1 || dilation_w != 1) {
    text += fmt::format(" dilation {}", dilation_h);
    if (dilation_w != dilation_h) text += fmt::format("x{}", dilation_w);
  }
  if (groups != 1) text += fmt::format(" groups {}", groups);
  return text;
}

Shape Conv2dTranspose::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(out_channels, 1, "output channels");
  check_at_least(groups, 1, "groups");
  const Shape& x = inputs[0];
  if (x.c % groups != 0 || out_channels % groups != 0) {
    throw ShapeError(
        fmt::format("groups {} must divide the input channels {} and the output channels {}",
                    groups, x.c, out_channels));
  }
  checked_shape(x.c, out_channels / groups, kernel_h, kernel_w);
  return checked_shape(x.n, out_channels,
                       output_extent(x.h, kernel_h, stride_h, pad_h, output_pad_h, dilation_h),
                       output_extent(x.w, kernel_w, stride_w, pad_w, output_pad_w, dilation_w));
}

std::vector<ParamSpec> Conv2dTranspose::params(std::span<const Shape> inputs) const {
  const int in = inputs[0].c, out_per_group = out_channels / groups;
  std::vector<ParamSpec> specs;
  specs.push_back({"weight",
                   ParamRole::weight,
                   {in, out_per_group, kernel_h, kernel_w},
                   {in, out_per_group, kernel_h, kernel_w}});
  if (bias) specs.push_back(channel_param("bias", ParamRole::bias, out_channels));
  return specs;
}

// That of the convolution whose data gradient this is.
std::int64_t Conv2dTranspose::flops(std::span<const Shape> inputs) const {
  return 2 * inputs[0].count() * (out_channels / groups) * kernel_h * kernel_w;
}

}  // namespace daybreak
