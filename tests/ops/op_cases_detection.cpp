#include "op_cases_detail.h"
#include "ops/region_loss.h"
#include "ops/ssd_loss.h"
#include "ops/yolo_loss.h"

namespace daybreak::detail {

namespace {

constexpr std::array<float, 2> kSmall{20, 14}, kTall{16, 40}, kWide{52, 24}, kBig{60, 70};

template <typename Configure>
OpCase yolo(const std::string& name, int samples, int height, int width, int truths,
            Configure configure) {
  YoloLoss probe;
  probe.anchors = {kSmall, kTall, kWide, kBig};
  probe.mask = {1, 2, 3};
  probe.classes = 3;
  probe.stride_x = probe.stride_y = 16;
  configure(probe);
  const int channels = static_cast<int>(probe.mask.size()) * (5 + probe.classes);
  return make_case<YoloLoss>(name, {{samples, channels, height, width}, {samples, truths, 1, 5}},
                             [probe](YoloLoss& op) { op = probe; });
}

OpCase ssd(const std::string& name, int samples, const std::vector<std::array<int, 2>>& maps,
           int truths, int classes, float negatives) {
  SsdLoss probe;
  probe.classes = classes;
  probe.negatives = negatives;
  std::vector<Shape> shapes;
  float size = 0.25f;
  for (const auto& [height, width] : maps) {
    SsdMap map;
    map.sizes = {{size, size}, {size * 1.4f, size * 0.7f}, {size * 0.7f, size * 1.4f}};
    if (shapes.size() == 1) map.cells_x = static_cast<float>(width) + 0.5f;
    shapes.push_back({samples, static_cast<int>(map.sizes.size()) * (5 + classes), height, width});
    probe.maps.push_back(std::move(map));
    size *= 1.6f;
  }
  shapes.push_back({samples, truths, 1, 5});
  return make_case<SsdLoss>(name, shapes, [probe](SsdLoss& op) { op = probe; });
}

template <typename Configure>
OpCase region(const std::string& name, int samples, int height, int width, int truths,
              Configure configure) {
  RegionLoss probe;
  probe.anchors = {{1.3f, 0.9f}, {1.0f, 2.5f}, {3.2f, 1.5f}};
  probe.classes = 3;
  configure(probe);
  const int channels = static_cast<int>(probe.anchors.size()) * (5 + probe.classes);
  return make_case<RegionLoss>(name, {{samples, channels, height, width}, {samples, truths, 1, 5}},
                               [probe](RegionLoss& op) { op = probe; });
}

}  // namespace

// The IoU that `rescore` teaches counts as a constant, so it is not among these: central
// differences would see it move.
std::vector<OpCase> region_loss_cases() {
  return {
      region("plain", 2, 4, 5, 6, [](RegionLoss&) {}),
      region("bias_match", 2, 4, 5, 6, [](RegionLoss& op) { op.bias_match = true; }),
      region("sigmoid_classes", 3, 3, 4, 5, [](RegionLoss& op) { op.softmax = false; }),
      region("one_cell_one_class", 1, 1, 1, 1, [](RegionLoss& op) { op.classes = 1; }),
      region("scales", 2, 4, 4, 5,
             [](RegionLoss& op) {
               op.object_scale = 5.0f, op.noobject_scale = 0.5f, op.class_scale = 2.0f;
               op.coord_scale = 3.0f, op.thresh = 0.3f;
             }),
      region("odd_map", 3, 5, 7, 3, [](RegionLoss&) {}),
      region("one_box", 2, 4, 4, 1, [](RegionLoss&) {}),
      region("many_boxes", 1, 3, 3, 12, [](RegionLoss& op) { op.bias_match = true; }),
      region("high_thresh", 2, 6, 4, 4, [](RegionLoss& op) { op.thresh = 0.9f; }),
      large(region("large", 8, 13, 13, 30, [](RegionLoss& op) { op.classes = 20; })),
  };
}

std::vector<OpCase> yolo_loss_cases() {
  const auto box = [](BoxLoss loss) { return [=](YoloLoss& op) { op.box_loss = loss; }; };
  return {
      yolo("mse", 2, 4, 5, 6, box(BoxLoss::mse)),
      yolo("iou", 2, 4, 5, 6, box(BoxLoss::iou)),
      yolo("giou", 2, 4, 5, 6, box(BoxLoss::giou)),
      yolo("diou", 2, 4, 5, 6, box(BoxLoss::diou)),
      yolo("ciou", 3, 5, 4, 7, box(BoxLoss::ciou)),
      yolo("one_cell", 1, 1, 1, 1, box(BoxLoss::ciou)),
      yolo("one_class", 3, 3, 7, 5, [](YoloLoss& op) { op.classes = 1; }),
      yolo("several_anchors", 2, 5, 5, 9,
           [](YoloLoss& op) { op.iou_thresh = 0.2f, op.box_loss = BoxLoss::giou; }),
      yolo("truth_thresh", 2, 3, 4, 4,
           [](YoloLoss& op) { op.truth_thresh = 0.5f, op.ignore_thresh = 0.3f; }),
      yolo("scale_x_y", 2, 4, 4, 5, [](YoloLoss& op) { op.scale_x_y = 1.1f; }),
      yolo("scale_x_y_ciou", 2, 4, 4, 5,
           [](YoloLoss& op) { op.scale_x_y = 2.0f, op.box_loss = BoxLoss::ciou; }),
      yolo("new_coords_mse", 2, 4, 4, 5,
           [](YoloLoss& op) { op.new_coords = true, op.scale_x_y = 2.0f; }),
      yolo("new_coords_ciou", 2, 4, 4, 5,
           [](YoloLoss& op) {
             op.new_coords = true, op.scale_x_y = 2.0f, op.box_loss = BoxLoss::ciou;
           }),
      yolo("smoothing_focal", 2, 4, 4, 6,
           [](YoloLoss& op) { op.label_smoothing = 0.1f, op.focal = 2.0f; }),
      yolo("focal_new_coords", 2, 4, 4, 6,
           [](YoloLoss& op) { op.new_coords = true, op.focal = 1.5f; }),
      yolo("weights", 2, 4, 4, 6,
           [](YoloLoss& op) {
             op.iou_normalizer = 0.07f, op.obj_normalizer = 2.0f, op.cls_normalizer = 0.5f;
           }),
      large(yolo("large", 8, 20, 20, 40,
                 [](YoloLoss& op) { op.classes = 20, op.box_loss = BoxLoss::ciou; })),
  };
}

std::vector<OpCase> ssd_loss_cases() {
  return {
      ssd("one_map", 2, {{4, 4}}, 3, 2, 3.0f),
      ssd("one_cell", 1, {{1, 1}}, 1, 1, 3.0f),
      ssd("three_maps", 3, {{5, 7}, {3, 4}, {1, 1}}, 5, 3, 3.0f),
      ssd("all_negatives", 2, {{3, 3}, {2, 2}}, 4, 4, 1000.0f),
      ssd("no_negatives", 2, {{3, 3}, {2, 2}}, 4, 4, 0.0f),
      ssd("one_class", 3, {{4, 5}, {2, 3}}, 3, 1, 3.0f),
      ssd("few_negatives", 2, {{5, 5}}, 2, 3, 0.5f),
      ssd("wide_map", 2, {{1, 9}, {1, 4}}, 4, 2, 3.0f),
      ssd("many_boxes", 1, {{6, 6}, {3, 3}}, 9, 5, 2.0f),
      large(ssd("large", 4, {{38, 38}, {19, 19}, {10, 10}}, 20, 20, 3.0f)),
  };
}

}  // namespace daybreak::detail
