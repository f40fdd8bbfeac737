#include "ops/input_u8.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string InputU8::describe() const {
  return reverse_channels ? "input u8 reversed" : "input u8";
}

Shape InputU8::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const auto c = static_cast<std::size_t>(inputs[0].c);
  if (mean.size() != c || std.size() != c) {
    throw ShapeError(fmt::format("pictures have {} channels, but there are {} means and {} stds", c,
                                 mean.size(), std.size()));
  }
  for (const float s : std) {
    if (!(s > 0.0f)) throw ShapeError(fmt::format("std is {:g}, must be larger than 0", s));
  }
  return inputs[0];
}

std::int64_t InputU8::flops(std::span<const Shape> inputs) const {
  return 2 * inputs[0].count();
}

}  // namespace daybreak
