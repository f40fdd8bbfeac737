#include "ops/conv2d.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Conv2d::describe() const {
  std::string text = fmt::format("conv {}x{}/{}", kernel_h, kernel_w, stride_h);
  if (stride_w != stride_h) text += fmt::format("x{}", stride_w);
  if (dilation_h != 1 || dilation_w != 1) {
    text += fmt::format(" dilation {}", dilation_h);
    if (dilation_w != dilation_h) text += fmt::format("x{}", dilation_w);
  }
  if (groups != 1) text += fmt::format(" groups {}", groups);
  if (residual) text += " + add";
  return text + fused_text(act) + (measures ? " + statistics" : "") +
         (loads ? ", norm on load" : "");
}

Shape Conv2d::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(out_channels, 1, "output channels");
  check_at_least(groups, 1, "groups");
  const Shape& x = inputs[0];
  if (x.c % groups != 0 || out_channels % groups != 0) {
    throw ShapeError(
        fmt::format("groups {} must divide the input channels {} and the output channels {}",
                    groups, x.c, out_channels));
  }
  const int h = window_output(x.h, kernel_h, stride_h, pad_h, pad_h, dilation_h, false);
  const int w = window_output(x.w, kernel_w, stride_w, pad_w, pad_w, dilation_w, false);
  checked_shape(out_channels, x.c / groups, kernel_h, kernel_w);
  const Shape y = checked_shape(x.n, out_channels, h, w);
  if (residual) check_equal(y, inputs[1]);
  return y;
}

std::vector<ParamSpec> Conv2d::params(std::span<const Shape> inputs) const {
  const int in_per_group = inputs[0].c / groups;
  std::vector<ParamSpec> specs;
  specs.push_back({"weight",
                   ParamRole::weight,
                   {out_channels, in_per_group, kernel_h, kernel_w},
                   {out_channels, in_per_group, kernel_h, kernel_w}});
  if (bias) specs.push_back(channel_param("bias", ParamRole::bias, out_channels));
  return specs;
}

// The usual count: zero border included, bias left out.
std::int64_t Conv2d::flops(std::span<const Shape> inputs) const {
  const Shape y = infer(inputs);  // what is fused does not count
  return 2 * y.count() * (inputs[0].c / groups) * kernel_h * kernel_w;
}

}  // namespace daybreak
