#include "ops/add.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Add::describe() const {
  std::string text = "add";
  if (coeff[0] != 1.0f || coeff[1] != 1.0f) text += fmt::format(" {:g}, {:g}", coeff[0], coeff[1]);
  return text + fused_text(act);
}

Shape Add::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_equal(inputs[0], inputs[1]);
  return inputs[0];
}

std::int64_t Add::flops(std::span<const Shape> inputs) const {
  const bool scaled = coeff[0] != 1.0f || coeff[1] != 1.0f;
  const int per_element = (scaled ? 3 : 1) + (act.kind != ActKind::none ? 1 : 0);
  return per_element * inputs[0].count();
}

}  // namespace daybreak
