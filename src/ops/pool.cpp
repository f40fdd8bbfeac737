#include "ops/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/check.h"

namespace daybreak {

namespace {

// Every window then covers at least one pixel, so a maximum and a count always exist.
void check_side(int size, int before, int after) {
  if (std::max(before, after) >= size && size > 0) {
    throw ShapeError(fmt::format("padding {} must be smaller than the window {}",
                                 std::max(before, after), size));
  }
}

}  // namespace

std::string Pool::describe() const {
  std::string text = fmt::format("{}pool {}x{}/{}", pool == PoolKind::max ? "max" : "avg", size_h,
                                 size_w, stride_h);
  if (stride_w != stride_h) text += fmt::format("x{}", stride_w);
  if (ceil_mode) text += " ceil";
  return text;
}

Shape Pool::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const Shape& x = inputs[0];
  check_side(size_h, pad_top, pad_bottom);
  check_side(size_w, pad_left, pad_right);
  return checked_shape(x.n, x.c,
                       window_output(x.h, size_h, stride_h, pad_top, pad_bottom, 1, ceil_mode),
                       window_output(x.w, size_w, stride_w, pad_left, pad_right, 1, ceil_mode));
}

std::int64_t Pool::flops(std::span<const Shape> inputs) const {
  return infer(inputs).count() * size_h * size_w;
}

}  // namespace daybreak
