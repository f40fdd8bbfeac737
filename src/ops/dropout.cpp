#include "ops/dropout.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Dropout::describe() const {
  return fmt::format("dropout {:g}", p);
}

Shape Dropout::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  if (!(p >= 0.0f && p < 1.0f)) {
    throw ShapeError(fmt::format("dropout probability is {:g}, must be in [0, 1)", p));
  }
  return inputs[0];
}

std::int64_t Dropout::flops(std::span<const Shape> inputs) const {
  return inputs[0].count();
}

}  // namespace daybreak
