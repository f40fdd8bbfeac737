#include <array>

#include "layers/conv.h"
#include "layers/layer_list.h"
#include "ops/add.h"
#include "ops/dropout.h"
#include "ops/multiply.h"
#include "ops/softmax.h"

// add, multiply, scale, dropout, softmax.

namespace daybreak {
namespace {

struct AddOptions {
  std::array<float, 2> scale = {1.0f, 1.0f};
  Activation act;
};

struct MultiplyOptions {
  Activation act;
};

struct ScaleOptions {
  float factor = 1.0f;
};

struct DropoutOptions {
  float p = 0.5f;
};

void lower_add(const AddOptions& options, LayerBuilder& b) {
  Add op;
  op.coeff[0] = options.scale[0];
  op.coeff[1] = options.scale[1];
  const ValueId sum = b.add(op, b.inputs());
  add_act(b, sum, options.act, "act");
}

void lower_multiply(const MultiplyOptions& options, LayerBuilder& b) {
  const ValueId product = b.add(Multiply{}, b.inputs());
  add_act(b, product, options.act, "act");
}

// As a sum, which every backend has. Halving is exact, so the sum is the rounded product.
void lower_scale(const ScaleOptions& options, LayerBuilder& b) {
  Add op;
  op.coeff[0] = op.coeff[1] = options.factor / 2.0f;
  b.add(op, {b.input(), b.input()});
}

void lower_dropout(const DropoutOptions& options, LayerBuilder& b) {
  Dropout op;
  op.p = options.p;
  op.salt = b.next_salt();
  b.add(op, {b.input()});
}

void lower_softmax(const NoOptions&, LayerBuilder& b) {
  b.add(Softmax{}, {b.input()});
}

}  // namespace

LayerType add_layer() {
  static const Schema<AddOptions> kSchema{
      field("scale", &AddOptions::scale)
          .one_or_both()
          .in(-100, 100)
          .doc("factor of both layers, or [first, second]"),
      field("act", &AddOptions::act).doc("activation behind the sum")};
  return make_layer_type("add", "sum of the two layers in `from`, which have equal shapes", kSchema,
                         &lower_add)
      .takes(2, 2);
}

LayerType multiply_layer() {
  static const Schema<MultiplyOptions> kSchema{
      field("act", &MultiplyOptions::act).doc("activation behind the product")};
  return make_layer_type("multiply",
                         "product of the two layers in `from`: equal shapes, or the second one a "
                         "factor for each channel (C x 1 x 1) or each pixel (1 x H x W)",
                         kSchema, &lower_multiply)
      .takes(2, 2);
}

LayerType scale_layer() {
  static const Schema<ScaleOptions> kSchema{short_key("factor"),
                                            field("factor", &ScaleOptions::factor)
                                                .required()
                                                .in(-1000, 1000)
                                                .doc("what it multiplies by")};
  return make_layer_type("scale", "all numbers times a constant", kSchema, &lower_scale);
}

LayerType dropout_layer() {
  static const Schema<DropoutOptions> kSchema{
      short_key("p"),
      field("p", &DropoutOptions::p).at_least(0).below(1).doc("share of the numbers set to zero")};
  return make_layer_type("dropout",
                         "zeroes numbers at random in training and enlarges the rest; does nothing "
                         "in evaluation",
                         kSchema, &lower_dropout);
}

LayerType softmax_layer() {
  return make_layer_type("softmax",
                         "probabilities over the channels; for training use softmax_loss",
                         no_options(), &lower_softmax);
}

}  // namespace daybreak
