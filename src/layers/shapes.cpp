#include <fmt/format.h>

#include "layers/layer_list.h"
#include "ops/concat.h"
#include "ops/reorg.h"
#include "ops/reshape.h"
#include "ops/slice.h"

// concat, slice, reorg, flatten, reshape.

namespace daybreak {

std::span<const EnumName<ReorgOrder>> enum_names(ReorgOrder) {
  static constexpr EnumName<ReorgOrder> kNames[] = {
      {ReorgOrder::depth, "depth", "space to depth; Darknet's reorg3d"},
      {ReorgOrder::darknet, "darknet", "the order of YOLOv2's reorg"}};
  return kNames;
}

namespace {

struct SliceOptions {
  int groups = 2;
  int group = 0;
};

struct ReorgOptions {
  int stride = 2;
  ReorgOrder order = ReorgOrder::depth;
};

struct ReshapeOptions {
  int c = -1, h = 1, w = 1;
};

void lower_concat(const NoOptions&, LayerBuilder& b) {
  b.add(Concat{}, b.inputs());
}

void lower_slice(const SliceOptions& options, LayerBuilder& b) {
  const int channels = b.shape(b.input()).c;
  if (channels % options.groups != 0 || options.group >= options.groups) {
    b.fail(
        fmt::format("group {} of {} cannot be taken from {}: the groups must divide its "
                    "channels, and are counted from 0",
                    options.group, options.groups, b.show(b.input())));
  }
  Slice op;
  op.count = channels / options.groups;
  op.begin = options.group * op.count;
  b.add(op, {b.input()});
}

void lower_reorg(const ReorgOptions& options, LayerBuilder& b) {
  Reorg op;
  op.stride = options.stride;
  op.order = options.order;
  b.add(op, {b.input()});
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

LayerType slice_layer() {
  static const Schema<SliceOptions> kSchema{
      field("groups", &SliceOptions::groups)
          .in(1, 65536)
          .doc("equal parts that the channels are cut into"),
      field("group", &SliceOptions::group).in(0, 65535).doc("the part that is kept, from 0")};
  return make_layer_type("slice", "one of several equal parts of the channels", kSchema,
                         &lower_slice);
}

LayerType reorg_layer() {
  static const Schema<ReorgOptions> kSchema{
      short_key("stride"),
      field("stride", &ReorgOptions::stride).in(1, 64).doc("divides height and width"),
      field("order", &ReorgOptions::order).doc("where the pixels go")};
  return make_layer_type("reorg", "turns squares of neighbouring pixels into channels", kSchema,
                         &lower_reorg);
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
