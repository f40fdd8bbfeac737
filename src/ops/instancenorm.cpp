#include "ops/instancenorm.h"

#include "ops/check.h"

namespace daybreak {

std::string InstanceNorm::describe() const {
  return "instancenorm";
}

Shape InstanceNorm::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  return inputs[0];
}

std::vector<ParamSpec> InstanceNorm::params(std::span<const Shape> inputs) const {
  if (!affine) return {};
  const int c = inputs[0].c;
  return {channel_param("weight", ParamRole::norm_scale, c),
          channel_param("bias", ParamRole::norm_shift, c)};
}

// As batch norm's.
std::int64_t InstanceNorm::flops(std::span<const Shape> inputs) const {
  return 5 * inputs[0].count();
}

}  // namespace daybreak
