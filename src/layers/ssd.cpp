#include "layers/ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layers/layer_list.h"
#include "layers/yolo.h"

namespace daybreak {

std::span<const EnumName<AnchorStyle>> enum_names(AnchorStyle) {
  static constexpr EnumName<AnchorStyle> kNames[] = {
      {AnchorStyle::d2l, "d2l", "both sizes with the first ratio, the first with the others"},
      {AnchorStyle::ssd, "ssd",
       "two squares, then the first size with each ratio and its inverse"}};
  return kNames;
}

std::vector<std::array<float, 2>> ssd_anchor_sizes(AnchorStyle style,
                                                   const std::array<float, 2>& sizes,
                                                   std::span<const float> ratios, int height,
                                                   int width) {
  std::vector<std::array<float, 2>> result;
  const auto add = [&](double w, double h) {
    result.push_back({static_cast<float>(w), static_cast<float>(h)});
  };
  if (style == AnchorStyle::d2l) {
    const double aspect = static_cast<double>(height) / width;
    const auto shaped = [&](double s, double r) {
      add(s * std::sqrt(r) * aspect, s / std::sqrt(r));
    };
    for (const float size : sizes) shaped(size, ratios[0]);
    for (const float ratio : ratios.subspan(1)) shaped(sizes[0], ratio);
    return result;
  }
  const double between = std::sqrt(static_cast<double>(sizes[0]) * sizes[1]);
  add(sizes[0], sizes[0]);
  add(between, between);
  for (const float ratio : ratios) {
    const double root = std::sqrt(static_cast<double>(ratio));
    add(sizes[0] * root, sizes[0] / root);
    add(sizes[0] / root, sizes[0] * root);
  }
  for (auto& size : result) {
    for (float& side : size) side = std::min(side, 1.0f);
  }
  return result;
}

namespace {

void check_lists(const SsdOptions& options, LayerBuilder& b) {
  const std::size_t maps = b.inputs().size();
  const auto check = [&](std::size_t count, const char* key) {
    if (count == maps) return;
    b.fail(fmt::format("\"{}\" has {} entries for {} feature maps", key, count, maps));
  };
  check(options.sizes.size(), "sizes");
  if (!options.ratio_counts.empty()) check(options.ratio_counts.size(), "ratio_counts");
  if (!options.steps.empty()) check(options.steps.size(), "steps");
  for (const int count : options.ratio_counts) {
    if (count <= static_cast<int>(options.ratios.size())) continue;
    b.fail(fmt::format("\"ratio_counts\" wants {} ratios, but there are {}", count,
                       options.ratios.size()));
  }
}

DetectionHead head_of(const SsdOptions& options, LayerBuilder& b, std::size_t k) {
  const Shape map = b.shape(b.inputs()[k]);
  const Shape& input = b.shape(b.graph().input(InputRole::image));
  std::span<const float> ratios = options.ratios;
  if (!options.ratio_counts.empty()) {
    ratios = ratios.first(static_cast<std::size_t>(options.ratio_counts[k]));
  }
  DetectionHead head;
  head.kind = HeadKind::ssd;
  head.classes = options.classes > 0 ? options.classes : b.auto_classes("classes");
  head.anchors = ssd_anchor_sizes(options.style, options.sizes[k], ratios, map.h, map.w);
  if (!options.steps.empty()) {
    head.cells_x = static_cast<float>(input.w) / options.steps[k];
    head.cells_y = static_cast<float>(input.h) / options.steps[k];
  }
  const int filters = static_cast<int>(head.anchors.size()) * (5 + head.classes);
  head.raw = add_prediction(options.conv, filters, b, b.inputs()[k], fmt::format("map{}", k + 1));
  return head;
}

void lower(const SsdOptions& options, LayerBuilder& b) {
  check_lists(options, b);
  SsdLoss op;
  op.match_iou = options.match_iou;
  op.negatives = options.negatives;
  std::vector<ValueId> values;
  for (std::size_t k = 0; k < b.inputs().size(); ++k) {
    add_head(b, head_of(options, b, k));
    const DetectionHead& head = b.graph().heads.back();
    op.classes = head.classes;
    op.maps.push_back({head.anchors, head.cells_x, head.cells_y});
    values.push_back(head.raw);
  }
  if (!b.options().with_loss) return;
  values.push_back(boxes_input(b));
  add_to_loss(b, b.add(op, values, "loss"));
}

}  // namespace

LayerType ssd_layer() {
  using S = SsdOptions;
  static const Schema<S> kSchema{
      field("sizes", &S::sizes)
          .items(1, 32)
          .above(0)
          .at_most(2)
          .required()
          .doc("two sizes for each feature map, as fractions of the input"),
      field("ratios", &S::ratios).items(1, 32).each_in(0.01, 100).doc("width / height of anchors"),
      field("ratio_counts", &S::ratio_counts)
          .items(0, 32)
          .each_in(1, 32)
          .doc("how many of the ratios each map takes; empty: all"),
      field("steps", &S::steps)
          .items(0, 32)
          .each_in(1, 65535)
          .doc("pixels of the input between anchors, for each map; empty: input / map"),
      field("style", &S::style).doc("how sizes and ratios make anchors"),
      field("classes", &S::classes)
          .in(1, 65536)
          .or_word("auto", 0)
          .doc("how many; auto: as many as the data set has"),
      field("conv", &S::conv).in(1, 15).doc("size of the convolution on each map"),
      field("match_iou", &S::match_iou)
          .in(0, 1)
          .doc("an anchor learns a truth from this IoU on; the best one always"),
      field("negatives", &S::negatives)
          .in(0, 1e6)
          .doc("anchors that learn the background, for each one that learns a truth")};
  return make_layer_type("ssd", "detection head of SSD over several feature maps", kSchema, &lower)
      .takes(1, 32);
}

}  // namespace daybreak
