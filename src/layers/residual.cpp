#include <fmt/format.h>

#include "layers/conv.h"
#include "layers/layer_list.h"
#include "ops/add.h"

// res_layer, res_group: the residual parts of Darknet-53; residual: a container for any others.

namespace daybreak {
namespace {

// What all convolutions of a residual layer share; the defaults of `conv` hold here too.
struct SharedOptions {
  NormOptions norm;
  Activation act;
  Init init;
  std::optional<float> last_scale_init;  // of the norm in front of each sum
};

struct ResLayerOptions : SharedOptions {
  int squeeze = 2;
};

struct ResGroupOptions : ResLayerOptions {
  int filters = 1;
  int blocks = 1;
  std::array<int, 2> stride = {1, 1};
  std::array<int, 2> size = {3, 3};
};

struct ResidualOptions {
  Node body;
  Node shortcut;
  Activation act;
  float scale = 1.0f;
};

ConvOptions make_conv(const SharedOptions& shared, int filters, int size) {
  ConvOptions conv;
  conv.filters = filters;
  conv.size = {size, size};
  conv.norm = shared.norm;
  conv.act = shared.act;
  conv.init = shared.init;
  return conv;
}

std::string join(const std::string& scope, const char* name) {
  return scope.empty() ? name : scope + "." + name;
}

// x + conv3(conv1(x)): 1x1 to channels / squeeze, 3x3 back. Nothing follows the sum.
ValueId add_block(LayerBuilder& b, ValueId x, const ResLayerOptions& options,
                  const std::string& scope) {
  const int channels = b.shape(x).c;
  if (channels < options.squeeze) {
    b.fail(fmt::format("cannot squeeze {} by {}", b.show(x), options.squeeze));
  }
  ValueId y =
      add_conv(b, x, make_conv(options, channels / options.squeeze, 1), join(scope, "conv1"));
  ConvOptions last = make_conv(options, channels, 3);
  if (options.last_scale_init) last.norm.scale_init = *options.last_scale_init;
  y = add_conv(b, y, last, join(scope, "conv2"));
  return b.add(Add{}, {x, y}, scope);
}

void lower_res_layer(const ResLayerOptions& options, LayerBuilder& b) {
  add_block(b, b.input(), options, "");
}

void lower_res_group(const ResGroupOptions& options, LayerBuilder& b) {
  ConvOptions first = make_conv(options, options.filters, 3);
  first.size = options.size;
  first.stride = options.stride;
  ValueId x = add_conv(b, b.input(), first, "conv");
  for (int i = 1; i <= options.blocks; ++i) x = add_block(b, x, options, std::to_string(i));
  b.output(x);
}

void lower_residual(const ResidualOptions& options, LayerBuilder& b) {
  const ValueId x = b.input();
  const ValueId body = b.lower_nested(options.body, x);
  const ValueId shortcut =
      options.shortcut.is_null() ? x : b.lower_nested(options.shortcut, x, "shortcut");
  Add op;
  op.coeff[1] = options.scale;
  const ValueId sum = b.add(op, {shortcut, body});
  add_act(b, sum, options.act, "act");
}

auto norm_field() {
  return field("norm", &SharedOptions::norm).doc("of every convolution; else that of `conv`");
}
auto act_field() {
  return field("act", &SharedOptions::act).doc("of every convolution; else that of `conv`");
}
auto init_field() {
  return field("init", &SharedOptions::init).doc("of every convolution; else that of `conv`");
}
auto last_scale_field() {
  return field("last_scale_init", &SharedOptions::last_scale_init)
      .in(0, 100)
      .or_word("one", 1.0f)
      .or_word("zero", 0.0f)
      .or_word("uniform", kUniformScale)
      .doc(
          "start of the norm's scale in front of each sum; zero: every block starts as the "
          "identity (Goyal et al. 2017)");
}
auto squeeze_field() {
  return field("squeeze", &ResLayerOptions::squeeze)
      .in(1, 64)
      .doc("channels / squeeze is the width between the two convolutions");
}

}  // namespace

LayerType res_layer_layer() {
  static const Schema<ResLayerOptions> kSchema{norm_field(), act_field(), init_field(),
                                               last_scale_field(), squeeze_field()};
  return make_layer_type("res_layer", "x + conv3x3(conv1x1(x)), Darknet-53's residual layer",
                         kSchema, &lower_res_layer)
      .with_conv_defaults();
}

LayerType res_group_layer() {
  using O = ResGroupOptions;
  static const Schema<O> kSchema{
      field("filters", &O::filters).in(1, 65536).required().doc("channels of the group"),
      field("blocks", &O::blocks).in(0, 1000).required().doc("how many residual layers"),
      field("stride", &O::stride)
          .one_or_both()
          .in(1, 1000)
          .doc("of the first convolution, or [vertical, horizontal]"),
      field("size", &O::size)
          .one_or_both()
          .in(1, 1000)
          .doc("window of the first convolution, or [height, width]"),
      norm_field(),
      act_field(),
      init_field(),
      last_scale_field(),
      squeeze_field()};
  return make_layer_type("res_group", "a convolution, then residual layers: a stage of Darknet-53",
                         kSchema, &lower_res_group)
      .with_conv_defaults();
}

LayerType residual_layer() {
  using O = ResidualOptions;
  static const Schema<O> kSchema{
      field("body", &O::body).layer_list().required().doc("the layers of the branch"),
      field("shortcut", &O::shortcut)
          .layer_list()
          .doc("layers on the way past the body; not given: the input itself"),
      field("act", &O::act).doc("activation behind the sum"),
      field("scale", &O::scale).in(-100, 100).doc("factor of the body")};
  return make_layer_type("residual", "act(shortcut(x) + scale * body(x))", kSchema,
                         &lower_residual);
}

}  // namespace daybreak
