#include "layers/layer_list.h"
#include "ops/concat.h"
#include "ops/reshape.h"

// concat, flatten, reshape.

namespace daybreak {
namespace {

struct ReshapeOptions {
  int c = -1, h = 1, w = 1;
};

void lower_concat(const NoOptions&, LayerBuilder& b) {
  b.add(Concat{}, b.inputs());
}

void lower_flatten(const NoOptions&, LayerBuilder& b) {
  b.add(Reshape{}, {b.input()});
}

void lower_reshape(const ReshapeOptions& options, LayerBuilder& b) {
  Reshape op;
  op.c = options.c, op.h = options.h, op.w = options.w;
  b.add(op, {b.input()});
}

}  // namespace

LayerType concat_layer() {
  return make_layer_type("concat", "joins the channels of the layers in `from`, in this order",
                         no_options(), &lower_concat)
      .takes(2, 64);
}

LayerType flatten_layer() {
  return make_layer_type("flatten", "turns channels, rows and columns into channels alone",
                         no_options(), &lower_flatten);
}

LayerType reshape_layer() {
  static const Schema<ReshapeOptions> kSchema{
      field("c", &ReshapeOptions::c).in(1, 1e9).or_word("auto", -1).doc("channels; auto: the rest"),
      field("h", &ReshapeOptions::h).in(1, 1e5).or_word("auto", -1).doc("height; auto: the rest"),
      field("w", &ReshapeOptions::w).in(1, 1e5).or_word("auto", -1).doc("width; auto: the rest")};
  return make_layer_type("reshape", "the same numbers, row by row, under another shape", kSchema,
                         &lower_reshape);
}

}  // namespace daybreak
