#include "ops/concat.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Concat::describe() const {
  return "concat";
}

Shape Concat::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const Shape& first = inputs[0];
  std::int64_t channels = 0;
  for (const Shape& s : inputs) {
    if (s.n != first.n) throw ShapeError(fmt::format("inputs have batch {} and {}", first.n, s.n));
    if (s.h != first.h || s.w != first.w) {
      throw ShapeError(fmt::format("inputs must agree in height and width, got {} and {}",
                                   to_string(first), to_string(s)));
    }
    channels += s.c;
  }
  return checked_shape(first.n, channels, first.h, first.w);
}

std::int64_t Concat::flops(std::span<const Shape>) const {
  return 0;
}

}  // namespace daybreak
