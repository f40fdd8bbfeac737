#include <fmt/format.h>

#include <array>
#include <vector>

#include "layers/border.h"
#include "layers/layer_list.h"
#include "ops/pad.h"
#include "ops/upsample.h"

// upsample, pad, crop.

namespace daybreak {

std::span<const EnumName<UpsampleKind>> enum_names(UpsampleKind) {
  static constexpr EnumName<UpsampleKind> kNames[] = {
      {UpsampleKind::nearest, "nearest", "repeat the pixel"},
      {UpsampleKind::bilinear, "bilinear", "blend four pixels, half-pixel centres"}};
  return kNames;
}

std::span<const EnumName<PadKind>> enum_names(PadKind) {
  static constexpr EnumName<PadKind> kNames[] = {
      {PadKind::zero, "zero", "zeros"},
      {PadKind::reflect, "reflect", "mirror at the edge pixel: dcb|abcd|cba"},
      {PadKind::symmetric, "symmetric", "mirror behind the edge pixel: cba|abcd|dcb"}};
  return kNames;
}

namespace {

struct UpsampleOptions {
  int scale = 2;
  UpsampleKind mode = UpsampleKind::nearest;
};

struct CropOptions {
  std::array<int, 2> size = {1, 1};
};

struct PadOptions {
  std::vector<int> size = {1};
  PadKind mode = PadKind::zero;
};

void lower_upsample(const UpsampleOptions& options, LayerBuilder& b) {
  Upsample op;
  op.upsample = options.mode;
  op.scale = options.scale;
  b.add(op, {b.input()});
}

void lower_crop(const CropOptions& options, LayerBuilder& b) {
  const Shape& x = b.shape(b.input());
  const auto [h, w] = options.size;
  if (h > x.h || w > x.w) {
    b.fail(fmt::format("{} x {} cannot be cut from {}", h, w, b.show(b.input())));
  }
  Pad op;
  op.top = -(x.h - h) / 2, op.left = -(x.w - w) / 2;
  op.bottom = h - x.h - op.top, op.right = w - x.w - op.left;
  b.add(op, {b.input()});
}

void lower_pad(const PadOptions& options, LayerBuilder& b) {
  const Border size = to_border(options.size);
  Pad op;
  op.pad = options.mode;
  op.top = size.top, op.right = size.right, op.bottom = size.bottom, op.left = size.left;
  b.add(op, {b.input()});
}

}  // namespace

LayerType upsample_layer() {
  static const Schema<UpsampleOptions> kSchema{
      short_key("scale"),
      field("scale", &UpsampleOptions::scale).in(1, 64).doc("factor for height and width"),
      field("mode", &UpsampleOptions::mode).doc("how new pixels are found")};
  return make_layer_type("upsample", "enlarges by a whole factor", kSchema, &lower_upsample);
}

LayerType crop_layer() {
  static const Schema<CropOptions> kSchema{short_key("size"),
                                           field("size", &CropOptions::size)
                                               .one_or_both()
                                               .in(1, 65535)
                                               .required()
                                               .doc("what is left, or [height, width]")};
  return make_layer_type("crop", "cuts out the middle of the picture", kSchema, &lower_crop);
}

LayerType pad_layer() {
  static const Schema<PadOptions> kSchema{
      short_key("size"),
      field("size", &PadOptions::size)
          .one_or_many()
          .items(1, 4)
          .in(0, 10000)
          .required()
          .doc("border: one number, [vertical, horizontal] or [top, right, bottom, left]"),
      field("mode", &PadOptions::mode).doc("what the border holds"),
      check<PadOptions>([](const PadOptions& options, const Node& node, const Reader& reader) {
        check_border(options.size, node, reader, "size");
      })};
  return make_layer_type("pad", "adds a border to the picture", kSchema, &lower_pad);
}

}  // namespace daybreak
