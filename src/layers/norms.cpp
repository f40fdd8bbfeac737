#include "layers/conv.h"
#include "layers/layer_list.h"

// batch_norm and instance_norm as layers of their own; parameters LAYER.weight, LAYER.bias,
// LAYER.running_mean, LAYER.running_var.

namespace daybreak {
namespace {

struct BatchNormOptions : NormOptions {
  Activation act;
  BatchNormOptions() { kind = NormKind::batch; }
};

struct InstanceNormOptions : NormOptions {
  Activation act;
  InstanceNormOptions() { kind = NormKind::instance, affine = false; }
};

template <typename Options>
void lower(const Options& options, LayerBuilder& b) {
  const ValueId y = add_norm(b, b.input(), options, "");
  add_act(b, y, options.act, "act");
}

}  // namespace

LayerType batch_norm_layer() {
  static const Schema<BatchNormOptions> kSchema{
      norm_momentum_field(), norm_eps_field(), norm_affine_field(), norm_scale_field(),
      field("act", &BatchNormOptions::act).doc("activation behind it")};
  return make_layer_type("batch_norm", "batch normalisation with running statistics for evaluation",
                         kSchema, &lower<BatchNormOptions>);
}

LayerType instance_norm_layer() {
  static const Schema<InstanceNormOptions> kSchema{
      norm_eps_field(), norm_affine_field(), norm_scale_field(),
      field("act", &InstanceNormOptions::act).doc("activation behind it")};
  return make_layer_type("instance_norm", "normalisation over each picture and channel", kSchema,
                         &lower<InstanceNormOptions>);
}

}  // namespace daybreak
