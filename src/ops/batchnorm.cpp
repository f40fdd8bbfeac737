#include "ops/batchnorm.h"

#include "ops/check.h"

namespace daybreak {

std::string BatchNorm::describe() const {
  const std::string before = act_last ? "" : fused_text(act),
                    behind = act_last ? fused_text(act) : "";
  return "batchnorm" + before + (sum ? " + sum" : "") + behind + (in_place ? ", in place" : "") +
         (deferred ? ", on load" : "");
}

Shape BatchNorm::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  if (sum) check_equal(inputs[0], inputs[1]);
  return inputs[0];
}

std::vector<ParamSpec> BatchNorm::params(std::span<const Shape> inputs) const {
  const int c = inputs[0].c;
  std::vector<ParamSpec> specs;
  if (affine) {
    specs.push_back(channel_param("weight", ParamRole::norm_scale, c));
    specs.push_back(channel_param("bias", ParamRole::norm_shift, c));
  }
  specs.push_back(channel_param("running_mean", ParamRole::running_mean, c));
  specs.push_back(channel_param("running_var", ParamRole::running_var, c));
  return specs;
}

// In training: an addition for the mean, a multiply-add for the variance, one to normalise.
std::int64_t BatchNorm::flops(std::span<const Shape> inputs) const {
  return (5 + (act.kind != ActKind::none) + sum) * inputs[0].count();
}

}  // namespace daybreak
