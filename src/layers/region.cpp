#include "layers/layer_list.h"
#include "layers/yolo.h"
#include "ops/region_loss.h"

namespace daybreak {
namespace {

void lower(const RegionOptions& options, LayerBuilder& b) {
  DetectionHead head;
  head.kind = HeadKind::region;
  head.anchors = options.anchors;
  head.classes = options.classes > 0 ? options.classes
                                     : head_classes(b, static_cast<int>(options.anchors.size()));
  head.softmax = options.softmax;
  add_head(b, std::move(head));
  if (!b.options().with_loss) return;
  RegionLoss op;
  op.anchors = options.anchors;
  op.classes = b.graph().heads.back().classes;
  op.softmax = options.softmax;
  op.thresh = options.thresh;
  op.rescore = options.rescore;
  op.bias_match = options.bias_match;
  op.object_scale = options.object_scale;
  op.noobject_scale = options.noobject_scale;
  op.class_scale = options.class_scale;
  op.coord_scale = options.coord_scale;
  add_to_loss(b, b.add(op, {b.graph().heads.back().raw, boxes_input(b)}, "loss"));
}

}  // namespace

LayerType region_layer() {
  using R = RegionOptions;
  static const Schema<R> kSchema{
      field("anchors", &R::anchors)
          .items(1, 1000)
          .above(0)
          .at_most(65535)
          .required()
          .doc("[width, height] in cells of the head's map"),
      field("classes", &R::classes)
          .in(1, 65536)
          .or_word("auto", 0)
          .doc("how many; auto: as many as the data set has"),
      field("softmax", &R::softmax).doc("classes exclude each other; false: sigmoid for each"),
      field("thresh", &R::thresh)
          .in(0, 1)
          .doc("a box without a truth of its own is not blamed above this IoU with any"),
      field("rescore", &R::rescore).doc("the objectness learns the IoU instead of 1"),
      field("bias_match", &R::bias_match).doc("match truths with anchors instead of boxes"),
      field("object_scale", &R::object_scale).in(0, 1e6).doc("weight of objects' objectness"),
      field("noobject_scale", &R::noobject_scale).in(0, 1e6).doc("weight of the others'"),
      field("class_scale", &R::class_scale).in(0, 1e6).doc("weight of the classes"),
      field("coord_scale", &R::coord_scale).in(0, 1e6).doc("weight of the boxes")};
  return make_layer_type("region", "detection head of YOLOv2; takes N x (5 + classes) maps",
                         kSchema, &lower);
}

}  // namespace daybreak
