#include "ops/linear.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Linear::describe() const {
  return fmt::format("linear {}", outputs);
}

Shape Linear::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(outputs, 1, "outputs");
  checked_shape(outputs, inputs[0].per_sample(), 1, 1);
  return checked_shape(inputs[0].n, outputs, 1, 1);
}

std::vector<ParamSpec> Linear::params(std::span<const Shape> inputs) const {
  const std::int64_t in = inputs[0].per_sample();
  std::vector<ParamSpec> specs;
  specs.push_back(
      {"weight", ParamRole::weight, {outputs, in}, {outputs, static_cast<int>(in), 1, 1}});
  if (bias) specs.push_back(channel_param("bias", ParamRole::bias, outputs));
  return specs;
}

std::int64_t Linear::flops(std::span<const Shape> inputs) const {
  return 2 * inputs[0].count() * outputs;
}

}  // namespace daybreak
