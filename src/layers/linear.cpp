#include "ops/linear.h"

#include "layers/conv.h"
#include "layers/layer_list.h"

namespace daybreak {
namespace {

struct LinearOptions {
  int outputs = 1;  // 0: the data set's classes
  std::optional<bool> bias;
  NormOptions norm;
  Activation act;
  Init init;
};

void lower(const LinearOptions& options, LayerBuilder& b) {
  Linear op;
  op.outputs = options.outputs > 0 ? options.outputs : b.auto_classes("outputs");
  op.bias = options.bias.value_or(options.norm.kind == NormKind::none);
  const double fan_in = static_cast<double>(b.shape(b.input()).per_sample());
  ValueId y = b.add(op, {b.input()}, "", weight_inits(options.init, options.act, fan_in));
  y = add_norm(b, y, options.norm, "norm");
  add_act(b, y, options.act, "act");
}

}  // namespace

LayerType linear_layer() {
  using O = LinearOptions;
  static const Schema<O> kSchema{
      field("outputs", &O::outputs)
          .in(1, 10'000'000)
          .or_word("auto", 0)
          .required()
          .doc("numbers it gives; auto: as many as the data set has classes"),
      field("bias", &O::bias)
          .or_word("auto", std::nullopt)
          .doc("add a bias; auto: unless a norm follows"),
      field("norm", &O::norm).doc("normalisation behind the product"),
      field("act", &O::act).doc("activation behind the normalisation"),
      field("init", &O::init).doc("how the weights start")};
  return make_layer_type("linear", "fully connected layer over the flattened picture", kSchema,
                         &lower);
}

}  // namespace daybreak
