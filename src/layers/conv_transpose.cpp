#include "ops/conv2d_transpose.h"

#include "layers/conv.h"
#include "layers/layer_list.h"

namespace daybreak {
namespace {

struct ConvTransposeOptions {
  int filters = 1;
  std::array<int, 2> size = {4, 4};
  std::array<int, 2> stride = {2, 2};
  std::array<int, 2> pad = {kSamePad, kSamePad};
  std::array<int, 2> output_pad = {0, 0};
  std::array<int, 2> dilation = {1, 1};
  int groups = 1;
  std::optional<bool> bias;
  NormOptions norm;
  Activation act;
  Init init;
};

struct Padding {
  int pad = 0;
  int output_pad = 0;
};

// The output extent is (in - 1) * stride + reach - 2 * pad + output_pad; "same" makes it
// in * stride: 2 * pad - output_pad = reach - stride.
Padding resolve(int pad, int output_pad, int size, int stride, int dilation) {
  if (pad != kSamePad) return {pad, output_pad};
  const int excess = dilation * (size - 1) + 1 - stride;
  if (excess < 0) return {0, -excess};
  return {(excess + 1) / 2, excess % 2};
}

void lower(const ConvTransposeOptions& options, LayerBuilder& b) {
  Conv2dTranspose op;
  op.out_channels = options.filters;
  op.kernel_h = options.size[0], op.kernel_w = options.size[1];
  op.stride_h = options.stride[0], op.stride_w = options.stride[1];
  op.dilation_h = options.dilation[0], op.dilation_w = options.dilation[1];
  const Padding h =
      resolve(options.pad[0], options.output_pad[0], op.kernel_h, op.stride_h, op.dilation_h);
  const Padding w =
      resolve(options.pad[1], options.output_pad[1], op.kernel_w, op.stride_w, op.dilation_w);
  op.pad_h = h.pad, op.output_pad_h = h.output_pad;
  op.pad_w = w.pad, op.output_pad_w = w.output_pad;
  op.groups = options.groups;
  op.bias = options.bias.value_or(options.norm.kind == NormKind::none);
  const double fan_in =
      static_cast<double>(options.filters) / options.groups * op.kernel_h * op.kernel_w;
  ValueId y = b.add(op, {b.input()}, "", weight_inits(options.init, options.act, fan_in));
  y = add_norm(b, y, options.norm, "norm");
  add_act(b, y, options.act, "act");
}

}  // namespace

LayerType conv_transpose_layer() {
  using O = ConvTransposeOptions;
  static const Schema<O> kSchema{
      field("filters", &O::filters).in(1, 65536).required().doc("output channels"),
      field("size", &O::size).one_or_both().in(1, 1000).doc("window in pixels, or [height, width]"),
      field("stride", &O::stride)
          .one_or_both()
          .in(1, 1000)
          .doc("factor of upsampling, or [vertical, horizontal]"),
      field("pad", &O::pad)
          .one_or_both()
          .in(0, 1000)
          .or_word("same", {kSamePad, kSamePad})
          .doc("pixels cut off on each side, or [vertical, horizontal]; same: the output is stride "
               "times the input, output_pad is computed too"),
      field("output_pad", &O::output_pad)
          .one_or_both()
          .in(0, 1000)
          .doc("rows and columns added at the bottom and right, smaller than the stride"),
      field("dilation", &O::dilation)
          .one_or_both()
          .in(1, 1000)
          .doc("distance between the window's taps, or [vertical, horizontal]"),
      field("groups", &O::groups).in(1, 65536).doc("groups of channels that do not see each other"),
      field("bias", &O::bias)
          .or_word("auto", std::nullopt)
          .doc("add a bias; auto: unless a norm follows"),
      field("norm", &O::norm).doc("normalisation behind the convolution"),
      field("act", &O::act).doc("activation behind the normalisation"),
      field("init", &O::init).doc("how the weights start"),
      check<O>([](const O& o, const Node& node, const Reader& reader) {
        const bool given = o.output_pad[0] != 0 || o.output_pad[1] != 0;
        if (given && (o.pad[0] == kSamePad || o.pad[1] == kSamePad)) {
          reader.at("output_pad").error(node.find("output_pad")->mark, "needs \"pad\" as a number");
        }
      })};
  return make_layer_type("conv_transpose",
                         "transposed convolution: learned upsampling, the reverse of a conv",
                         kSchema, &lower);
}

}  // namespace daybreak
