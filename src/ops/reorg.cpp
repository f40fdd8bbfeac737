#include "ops/reorg.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Reorg::describe() const {
  return fmt::format("reorg /{}{}", stride, order == ReorgOrder::darknet ? " darknet" : "");
}

Shape Reorg::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(stride, 1, "stride");
  const Shape& x = inputs[0];
  const std::int64_t square = std::int64_t{stride} * stride;
  if (x.h % stride != 0 || x.w % stride != 0) {
    throw ShapeError(
        fmt::format("stride {} must divide height and width of {}", stride, to_string(x)));
  }
  if (order == ReorgOrder::darknet && x.c % square != 0) {
    throw ShapeError(fmt::format("Darknet's order needs channels divisible by {}, got {}", square,
                                 to_string(x)));
  }
  return checked_shape(x.n, x.c * square, x.h / stride, x.w / stride);
}

}  // namespace daybreak
