#include "ops/bce.h"

#include "ops/check.h"

namespace daybreak {

std::string Bce::describe() const {
  return "bce with logits (mean)";
}

Shape Bce::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_equal(inputs[0], inputs[1]);
  return {1, 1, 1, 1};
}

// max, product, difference, exp, log1p, two sums.
std::int64_t Bce::flops(std::span<const Shape> inputs) const {
  return 7 * inputs[0].count();
}

}  // namespace daybreak
