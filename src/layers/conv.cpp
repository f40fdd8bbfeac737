#include "layers/conv.h"

#include <cmath>

#include "layers/layer_list.h"
#include "ops/act.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/instancenorm.h"

namespace daybreak {
namespace {

std::string join(const std::string& scope, const char* name) {
  return scope.empty() ? name : scope + "." + name;
}

Conv2d make_conv(LayerBuilder& b, const ConvOptions& options, int in_channels) {
  Conv2d op;
  op.out_channels = options.filters > 0 ? options.filters : b.auto_classes("filters");
  op.kernel_h = options.size[0], op.kernel_w = options.size[1];
  op.stride_h = options.stride[0], op.stride_w = options.stride[1];
  op.dilation_h = options.dilation[0], op.dilation_w = options.dilation[1];
  op.pad_h = resolve_pad(options.pad[0], op.kernel_h, op.dilation_h);
  op.pad_w = resolve_pad(options.pad[1], op.kernel_w, op.dilation_w);
  op.groups = options.groups > 0 ? options.groups : in_channels;
  op.bias = options.bias.value_or(options.norm.kind == NormKind::none);
  return op;
}

void lower(const ConvOptions& options, LayerBuilder& b) {
  add_conv(b, b.input(), options);
}

}  // namespace

std::vector<std::pair<std::string, Init>> weight_inits(Init init, const Activation& act,
                                                       double fan_in, int groups) {
  const bool gain_by_act = init.kind == InitKind::default_;
  // He's gain is sqrt(2 / (1 + slope^2)). Asked for by name it is at least that of ReLU; by default
  // it is 1 (slope 1) where no ReLU follows.
  switch (act.kind) {
    case ActKind::relu:
      init.slope = 0.0f;
      break;
    case ActKind::leaky:
      init.slope = act.slope;
      break;
    default:
      init.slope = gain_by_act ? 1.0f : 0.0f;
      break;
  }
  init.groups = groups;
  Init bias;
  if (init.kind == InitKind::fan_in_uniform) {
    const float bound = static_cast<float>(1.0 / std::sqrt(fan_in));
    bias = {.kind = InitKind::uniform, .a = -bound, .b = bound};
  }
  return {{"weight", init}, {"bias", bias}};
}

ValueId add_norm(LayerBuilder& b, ValueId x, const NormOptions& norm, const std::string& scope) {
  const std::vector<std::pair<std::string, Init>> inits = {{"weight", scale_init(norm.scale_init)}};
  if (norm.kind == NormKind::batch) {
    BatchNorm op;
    op.eps = norm.eps;
    op.momentum = norm.momentum;
    op.affine = norm.affine;
    return b.add(op, {x}, scope, inits);
  }
  if (norm.kind == NormKind::instance) {
    InstanceNorm op;
    op.eps = norm.eps;
    op.affine = norm.affine;
    return b.add(op, {x}, scope, inits);
  }
  return x;
}

ValueId add_act(LayerBuilder& b, ValueId x, const Activation& act, const std::string& scope) {
  if (act.kind == ActKind::none) return x;
  Act op;
  op.act = act;
  return b.add(op, {x}, scope);
}

ValueId add_conv(LayerBuilder& b, ValueId x, const ConvOptions& options, const std::string& scope) {
  const int in_channels = b.shape(x).c;
  const Conv2d op = make_conv(b, options, in_channels);
  const double fan_in = static_cast<double>(in_channels) / op.groups * op.kernel_h * op.kernel_w;
  ValueId y = b.add(op, {x}, scope, weight_inits(options.init, options.act, fan_in, op.groups));
  y = add_norm(b, y, options.norm, join(scope, "norm"));
  return add_act(b, y, options.act, join(scope, "act"));
}

LayerType conv_layer() {
  static const Schema<ConvOptions> kSchema{
      field("filters", &ConvOptions::filters)
          .in(1, 65536)
          .or_word("auto", 0)
          .required()
          .doc("output channels; auto: as many as the data set has classes"),
      field("size", &ConvOptions::size)
          .one_or_both()
          .in(1, 1000)
          .doc("window in pixels, or [height, width]"),
      field("stride", &ConvOptions::stride)
          .one_or_both()
          .in(1, 1000)
          .doc("step of the window, or [vertical, horizontal]"),
      field("pad", &ConvOptions::pad)
          .one_or_both()
          .in(0, 1000)
          .or_word("same", {kSamePad, kSamePad})
          .doc("zeros on each side, or [vertical, horizontal]; same: dilation * (size - 1) / 2, "
               "which keeps the size at stride 1"),
      field("dilation", &ConvOptions::dilation)
          .one_or_both()
          .in(1, 1000)
          .doc("distance between the window's taps, or [vertical, horizontal]"),
      field("groups", &ConvOptions::groups)
          .in(1, 65536)
          .or_word("depthwise", 0)
          .doc("groups of channels that do not see each other; depthwise: one for each input "
               "channel"),
      field("bias", &ConvOptions::bias)
          .or_word("auto", std::nullopt)
          .doc("add a bias; auto: unless a norm follows"),
      field("norm", &ConvOptions::norm).doc("normalisation behind the convolution"),
      field("act", &ConvOptions::act).doc("activation behind the normalisation"),
      field("init", &ConvOptions::init).doc("how the weights start")};
  return make_layer_type("conv", "2-D convolution with optional normalisation and activation",
                         kSchema, &lower);
}

}  // namespace daybreak
