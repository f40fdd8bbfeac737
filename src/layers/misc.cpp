#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "layers/conv.h"
#include "layers/layer_list.h"
#include "ops/add.h"
#include "ops/concat.h"
#include "ops/dropout.h"
#include "ops/multiply.h"
#include "ops/pool.h"
#include "ops/slice.h"
#include "ops/softmax.h"

// add, multiply, scale, dropout, softmax.

namespace daybreak {
namespace {

// What a sum does with inputs of different shapes.
enum class Unequal : std::uint8_t { refuse, common };

std::span<const EnumName<Unequal>> enum_names(Unequal) {
  static constexpr EnumName<Unequal> kNames[] = {
      {Unequal::refuse, "refuse", "that is an error"},
      {Unequal::common, "common",
       "add what the second layer has for the first: its first channels, and of a picture n times "
       "as large every n-th pixel; further channels of the first stay as they are"}};
  return kNames;
}

struct AddOptions {
  std::array<float, 2> scale = {1.0f, 1.0f};
  Unequal unequal = Unequal::refuse;
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

ValueId channels_of(LayerBuilder& b, ValueId value, int begin, int end) {
  if (begin == 0 && end == b.shape(value).c) return value;
  Slice op;
  op.begin = begin, op.count = end - begin;
  return b.add(op, {value});
}

// Darknet's shortcut between layers of different sizes (shortcut_cpu in its blas.c), where it adds
// to all pixels of the first.
ValueId add_common(const Add& op, LayerBuilder& b) {
  const ValueId first = b.inputs()[0];
  ValueId second = b.inputs()[1];
  const Shape x = b.shape(first), other = b.shape(second);
  const int stride = other.h / x.h;
  if (stride < 1 || other.h != x.h * stride || other.w != x.w * stride) {
    b.fail(
        fmt::format("the picture of {} must be as large as that of {} or a whole number of times "
                    "as large",
                    b.show(second), b.show(first)));
  }
  if (stride > 1) {
    Pool every;
    every.size_h = every.size_w = 1;
    every.stride_h = every.stride_w = stride;
    second = b.add(every, {second});
  }
  const int common = std::min(x.c, other.c);
  second = channels_of(b, second, 0, common);
  const ValueId sum = b.add(op, {channels_of(b, first, 0, common), second});
  return common == x.c ? sum : b.add(Concat{}, {sum, channels_of(b, first, common, x.c)});
}

void lower_add(const AddOptions& options, LayerBuilder& b) {
  Add op;
  op.coeff[0] = options.scale[0];
  op.coeff[1] = options.scale[1];
  const ValueId sum =
      options.unequal == Unequal::common && b.shape(b.inputs()[0]) != b.shape(b.inputs()[1])
          ? add_common(op, b)
          : b.add(op, b.inputs());
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
      field("unequal", &AddOptions::unequal).doc("layers of different shapes"),
      field("act", &AddOptions::act).doc("activation behind the sum")};
  return make_layer_type("add", "sum of the two layers in `from`", kSchema, &lower_add).takes(2, 2);
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
