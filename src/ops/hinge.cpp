#include "ops/hinge.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Hinge::describe() const {
  return fmt::format("hinge {:g} (mean over the batch)", margin);
}

Shape Hinge::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_logits_and_labels(inputs);
  return {1, 1, 1, 1};
}

// Difference, margin, maximum, sum.
std::int64_t Hinge::flops(std::span<const Shape> inputs) const {
  return 4 * inputs[0].count();
}

}  // namespace daybreak
