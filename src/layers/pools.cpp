#include <array>
#include <optional>
#include <vector>

#include "layers/border.h"
#include "layers/layer_list.h"
#include "ops/adaptive_avgpool.h"
#include "ops/pool.h"

// maxpool, avgpool, adaptive_avgpool, global_avgpool.

namespace daybreak {
namespace {

struct PoolOptions {
  std::array<int, 2> size = {2, 2};
  std::optional<std::array<int, 2>> stride;  // not given: the size
  std::vector<int> pad = {0};
  bool ceil = false;
};

struct AvgPoolOptions : PoolOptions {
  bool count_padding = true;
};

struct AdaptiveOptions {
  std::array<int, 2> size = {1, 1};
};

Pool make_pool(const PoolOptions& options) {
  Pool op;
  op.size_h = options.size[0], op.size_w = options.size[1];
  const std::array<int, 2> stride = options.stride.value_or(options.size);
  op.stride_h = stride[0], op.stride_w = stride[1];
  const Border pad = to_border(options.pad);
  op.pad_top = pad.top, op.pad_right = pad.right;
  op.pad_bottom = pad.bottom, op.pad_left = pad.left;
  op.ceil_mode = options.ceil;
  return op;
}

void lower_max(const PoolOptions& options, LayerBuilder& b) {
  Pool op = make_pool(options);
  op.pool = PoolKind::max;
  b.add(op, {b.input()});
}

void lower_average(const AvgPoolOptions& options, LayerBuilder& b) {
  Pool op = make_pool(options);
  op.pool = PoolKind::average;
  op.count_padding = options.count_padding;
  b.add(op, {b.input()});
}

void lower_adaptive(const AdaptiveOptions& options, LayerBuilder& b) {
  AdaptiveAvgPool op;
  op.out_h = options.size[0], op.out_w = options.size[1];
  b.add(op, {b.input()});
}

void lower_global(const NoOptions&, LayerBuilder& b) {
  b.add(AdaptiveAvgPool{}, {b.input()});
}

auto size_field() {
  return field("size", &PoolOptions::size)
      .one_or_both()
      .in(1, 1000)
      .doc("window in pixels, or [height, width]");
}

auto stride_field() {
  return field("stride", &PoolOptions::stride)
      .one_or_both()
      .in(1, 1000)
      .or_word("size", std::nullopt)
      .doc("step of the window, or [vertical, horizontal]; size: the window's");
}

auto pad_field() {
  return field("pad", &PoolOptions::pad)
      .one_or_many()
      .items(1, 4)
      .in(0, 999)
      .doc("border: one number, [vertical, horizontal] or [top, right, bottom, left]");
}

auto ceil_field() {
  return field("ceil", &PoolOptions::ceil)
      .doc("round the output's size up, as Caffe does; false: down, as PyTorch and Darknet do");
}

template <typename Options>
auto pad_check() {
  return check<Options>([](const Options& options, const Node& node, const Reader& reader) {
    check_border(options.pad, node, reader, "pad");
  });
}

}  // namespace

LayerType maxpool_layer() {
  static const Schema<PoolOptions> kSchema{short_key("size"), size_field(),
                                           stride_field(),    pad_field(),
                                           ceil_field(),      pad_check<PoolOptions>()};
  return make_layer_type("maxpool", "largest value of each window", kSchema, &lower_max);
}

LayerType avgpool_layer() {
  static const Schema<AvgPoolOptions> kSchema{
      short_key("size"),
      size_field(),
      stride_field(),
      pad_field(),
      ceil_field(),
      field("count_padding", &AvgPoolOptions::count_padding)
          .doc("count the border as zeros; false: divide by the pixels inside"),
      pad_check<AvgPoolOptions>()};
  return make_layer_type("avgpool", "mean of each window", kSchema, &lower_average);
}

LayerType adaptive_avgpool_layer() {
  static const Schema<AdaptiveOptions> kSchema{
      short_key("size"), field("size", &AdaptiveOptions::size)
                             .one_or_both()
                             .in(1, 1000)
                             .doc("the output's size, or [height, width]; 1: the whole picture")};
  return make_layer_type("adaptive_avgpool", "average pooling to a fixed output size", kSchema,
                         &lower_adaptive);
}

LayerType global_avgpool_layer() {
  return make_layer_type("global_avgpool", "mean over the whole picture", no_options(),
                         &lower_global);
}

}  // namespace daybreak
