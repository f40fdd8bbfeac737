#include "layers/conv.h"
#include "layers/layer_list.h"

// Activations as layers of their own.

namespace daybreak {
namespace {

struct ActOptions {
  Activation fn;
};

struct LeakyOptions {
  float slope = Activation{}.slope;
};

void lower_act(const ActOptions& options, LayerBuilder& b) {
  add_act(b, b.input(), options.fn, "");
}

void lower_leaky(const LeakyOptions& options, LayerBuilder& b) {
  add_act(b, b.input(), {.kind = ActKind::leaky, .slope = options.slope}, "");
}

template <ActKind kKind>
void lower_plain(const NoOptions&, LayerBuilder& b) {
  add_act(b, b.input(), {.kind = kKind}, "");
}

}  // namespace

LayerType act_layer() {
  static const Schema<ActOptions> kSchema{
      short_key("fn"), field("fn", &ActOptions::fn).required().doc("the function")};
  return make_layer_type("act", "an activation, chosen by name", kSchema, &lower_act);
}

LayerType relu_layer() {
  return make_layer_type("relu", "max(0, x)", no_options(), &lower_plain<ActKind::relu>);
}

LayerType leaky_layer() {
  static const Schema<LeakyOptions> kSchema{
      short_key("slope"),
      field("slope", &LeakyOptions::slope).in(0, 1).doc("factor for negative inputs")};
  return make_layer_type("leaky", "x, or slope * x where x is negative", kSchema, &lower_leaky);
}

LayerType sigmoid_layer() {
  return make_layer_type("sigmoid", "1 / (1 + exp(-x))", no_options(),
                         &lower_plain<ActKind::sigmoid>);
}

LayerType tanh_layer() {
  return make_layer_type("tanh", "hyperbolic tangent", no_options(), &lower_plain<ActKind::tanh>);
}

}  // namespace daybreak
