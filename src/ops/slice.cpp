#include "ops/slice.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Slice::describe() const {
  return fmt::format("slice {}..{}", begin, begin + count - 1);
}

Shape Slice::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(begin, 0, "first channel");
  check_at_least(count, 1, "channels");
  const Shape& x = inputs[0];
  if (std::int64_t{begin} + count > x.c) {
    throw ShapeError(fmt::format("channels {} to {} are not among {}", begin,
                                 std::int64_t{begin} + count - 1, x.c));
  }
  return {x.n, count, x.h, x.w};
}

}  // namespace daybreak
