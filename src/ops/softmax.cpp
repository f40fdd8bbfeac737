#include "ops/softmax.h"

#include "ops/check.h"

namespace daybreak {

std::string Softmax::describe() const {
  return "softmax";
}

Shape Softmax::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  return inputs[0];
}

// Maximum, difference, exp, sum, quotient.
std::int64_t Softmax::flops(std::span<const Shape> inputs) const {
  return 5 * inputs[0].count();
}

}  // namespace daybreak
