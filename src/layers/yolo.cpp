#include "layers/yolo.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "layers/conv.h"
#include "layers/layer_list.h"
#include "ops/add.h"
#include "ops/yolo_loss.h"

namespace daybreak {

std::span<const EnumName<BoxLoss>> enum_names(BoxLoss) {
  static constexpr EnumName<BoxLoss> kNames[] = {
      {BoxLoss::mse, "mse", "squared error of the raw numbers"},
      {BoxLoss::iou, "iou", "1 - IoU"},
      {BoxLoss::giou, "giou", "1 - GIoU"},
      {BoxLoss::diou, "diou", "1 - DIoU"},
      {BoxLoss::ciou, "ciou", "1 - CIoU"}};
  return kNames;
}

std::span<const EnumName<NmsKind>> enum_names(NmsKind) {
  static constexpr EnumName<NmsKind> kNames[] = {
      {NmsKind::iou, "iou", "drop boxes by their IoU with a better one"},
      {NmsKind::greedy, "greedy", "by IoU - (d^2/c^2)^0.6, Darknet's greedynms"},
      {NmsKind::diou, "diou", "by IoU - (d^2/c^2)^beta_nms, Darknet's diounms"},
      {NmsKind::soft_linear, "soft_linear", "lower the score by 1 - IoU above the threshold"},
      {NmsKind::soft_gaussian, "soft_gaussian", "lower the score by exp(-IoU^2 / 0.5)"}};
  return kNames;
}

void add_head(LayerBuilder& b, DetectionHead head) {
  const int anchors = static_cast<int>(head.anchors.size());
  if (head.mask.empty()) {
    head.mask.resize(head.anchors.size());
    std::iota(head.mask.begin(), head.mask.end(), 0);
  }
  for (const int index : head.mask) {
    if (index >= anchors) {
      b.fail(fmt::format("\"mask\" names anchor {}, but there are {} (numbers start at 0)", index,
                         anchors));
    }
  }
  const BuildOptions& options = b.options();
  if (options.classes > 0 && options.classes != head.classes) {
    b.fail(fmt::format("the head has {} classes, but {} has {}", head.classes,
                       options.classes_source.empty() ? "the data set" : options.classes_source,
                       options.classes));
  }
  const int masks = static_cast<int>(head.mask.size());
  const int wanted = masks * (5 + head.classes);
  if (head.raw == kNone) head.raw = b.input();
  if (b.shape(head.raw).c != wanted) {
    b.fail(
        fmt::format("needs {} channels, {} anchors x (5 + {} classes), found {}; set the filters "
                    "of the convolution before it to {}",
                    wanted, masks, head.classes, b.show(head.raw), wanted));
  }
  head.layer = b.layer_name();
  head.mark = b.mark();
  b.output(head.raw);
  b.graph().classes = head.classes;
  b.graph().heads.push_back(std::move(head));
}

int head_classes(const LayerBuilder& b, int masks) {
  const int channels = b.shape(b.input()).c;
  const bool known = b.options().classes > 0;
  if (!known && channels % masks == 0 && channels / masks > 5) return channels / masks - 5;
  return b.auto_classes("classes");
}

ValueId add_prediction(int size, int filters, LayerBuilder& b, ValueId x,
                       const std::string& scope) {
  ConvOptions conv;
  conv.size = {size, size};
  conv.filters = filters;
  return add_conv(b, x, conv, scope);
}

ValueId boxes_input(LayerBuilder& b) {
  const ValueId known = b.graph().input(InputRole::boxes);
  if (known != kNone) return known;
  const Shape shape{1, std::max(1, b.options().max_boxes), 1, 5};
  return b.graph_input(InputRole::boxes, shape, DType::f32, "boxes");
}

void add_to_loss(LayerBuilder& b, ValueId loss) {
  Graph& graph = b.graph();
  graph.loss = graph.loss == kNone ? loss : b.add(Add{}, {graph.loss, loss}, "sum");
}

namespace {

void add_loss(const YoloOptions& options, const DetectionHead& head, LayerBuilder& b) {
  const Shape& map = b.shape(head.raw);
  const Shape& input = b.shape(b.graph().input(InputRole::image));
  YoloLoss op;
  op.anchors = head.anchors;
  op.mask = head.mask;
  op.classes = head.classes;
  op.stride_x = static_cast<float>(input.w) / static_cast<float>(map.w);
  op.stride_y = static_cast<float>(input.h) / static_cast<float>(map.h);
  op.box_loss = options.box_loss;
  op.ignore_thresh = options.ignore_thresh;
  op.truth_thresh = options.truth_thresh;
  op.iou_thresh = options.iou_thresh;
  op.iou_normalizer = options.iou_normalizer;
  op.obj_normalizer = options.obj_normalizer;
  op.cls_normalizer = options.cls_normalizer;
  op.scale_x_y = options.scale_x_y;
  op.new_coords = options.new_coords;
  op.label_smoothing = options.label_smoothing;
  op.focal = options.focal;
  add_to_loss(b, b.add(op, {head.raw, boxes_input(b)}, "loss"));
}

int masks_of(const YoloOptions& options) {
  return static_cast<int>(options.mask.empty() ? options.anchors.size() : options.mask.size());
}

void lower(const YoloOptions& options, LayerBuilder& b) {
  DetectionHead head;
  head.kind = HeadKind::yolo;
  head.anchors = options.anchors;
  head.mask = options.mask;
  head.classes = options.classes > 0 ? options.classes
                 : options.conv > 0  ? b.auto_classes("classes")
                                     : head_classes(b, masks_of(options));
  head.scale_x_y = options.scale_x_y;
  head.new_coords = options.new_coords;
  head.nms = options.nms;
  head.nms_beta = options.beta_nms;
  if (options.conv > 0)
    head.raw =
        add_prediction(options.conv, masks_of(options) * (5 + head.classes), b, b.input(), "conv");
  add_head(b, std::move(head));
  if (b.options().with_loss) add_loss(options, b.graph().heads.back(), b);
}

}  // namespace

LayerType yolo_layer() {
  static const Schema<YoloOptions> kSchema{
      field("anchors", &YoloOptions::anchors)
          .items(1, 1000)
          .above(0)
          .at_most(65535)
          .required()
          .doc("[width, height] in pixels of the network's input, those of all heads"),
      field("mask", &YoloOptions::mask)
          .items(1, 1000)
          .in(0, 999)
          .or_word("all", {})
          .doc("which of the anchors belong to this head, counted from 0"),
      field("classes", &YoloOptions::classes)
          .in(1, 65536)
          .or_word("auto", 0)
          .doc("how many; auto: as many as the data set has"),
      field("conv", &YoloOptions::conv)
          .in(0, 15)
          .doc("size of a convolution that the head puts before itself, with the filters it needs; "
               "0: none, the layer before has them"),
      field("scale_x_y", &YoloOptions::scale_x_y)
          .in(1, 10)
          .doc("stretches the range of a centre around its cell"),
      field("new_coords", &YoloOptions::new_coords)
          .doc("the convolution before squashes its output with sigmoid; sizes are 4 v^2 * anchor"),
      field("ignore_thresh", &YoloOptions::ignore_thresh)
          .in(0, 1)
          .doc("a box without a truth of its own is not blamed above this IoU with any"),
      field("truth_thresh", &YoloOptions::truth_thresh)
          .in(0, 1)
          .doc("a box above this IoU with a truth is taught that truth; 1: never"),
      field("iou_thresh", &YoloOptions::iou_thresh)
          .in(0, 1)
          .doc("anchors whose shape has more than this IoU with a truth learn it too; 1: the best "
               "one only"),
      field("box_loss", &YoloOptions::box_loss).doc("how boxes are compared with the truth"),
      field("iou_normalizer", &YoloOptions::iou_normalizer).in(0, 1e6).doc("weight of the boxes"),
      field("obj_normalizer", &YoloOptions::obj_normalizer)
          .in(0, 1e6)
          .doc("weight of the objectness"),
      field("cls_normalizer", &YoloOptions::cls_normalizer).in(0, 1e6).doc("weight of the classes"),
      field("nms", &YoloOptions::nms).doc("how overlapping boxes are thinned out"),
      field("label_smoothing", &YoloOptions::label_smoothing)
          .at_least(0)
          .below(1)
          .doc("share of a class's target spread over yes and no"),
      field("focal", &YoloOptions::focal)
          .in(0, 10)
          .doc("exponent of the focal weight of classes (Lin et al. 2017); 0: none"),
      field("beta_nms", &YoloOptions::beta_nms).above(0).at_most(10).doc("exponent of nms: diou")};
  return make_layer_type("yolo", "detection head of YOLOv3 and later; takes N x (5 + classes) maps",
                         kSchema, &lower);
}

}  // namespace daybreak
