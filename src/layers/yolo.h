#pragma once

#include <array>
#include <string>
#include <vector>

#include "config/schema.h"
#include "core/box.h"
#include "layers/layer_builder.h"

namespace daybreak {

/// Options of the layer `yolo`, a detection head of YOLOv3 to v7.
struct YoloOptions {
  std::vector<std::array<float, 2>> anchors;  ///< of all heads together
  std::vector<int> mask;                      ///< empty: all
  int classes = 0;                            ///< 0: the data set's
  int conv = 0;                               ///< size of the head's own convolution; 0: none
  float scale_x_y = 1.0f;
  bool new_coords = false;
  float ignore_thresh = 0.5f;
  float truth_thresh = 1.0f;
  float iou_thresh = 1.0f;
  BoxLoss box_loss = BoxLoss::mse;
  float iou_normalizer = 0.75f;
  float obj_normalizer = 1.0f;
  float cls_normalizer = 1.0f;
  NmsKind nms = NmsKind::iou;
  float beta_nms = 0.6f;
  float label_smoothing = 0.0f;
  float focal = 0.0f;
};

/// Options of the layer `region`, the detection head of YOLOv2.
struct RegionOptions {
  std::vector<std::array<float, 2>> anchors;
  int classes = 0;  ///< 0: the data set's
  bool softmax = true;
  float thresh = 0.5f;
  bool rescore = false;
  bool bias_match = false;
  float object_scale = 1.0f;
  float noobject_scale = 1.0f;
  float class_scale = 1.0f;
  float coord_scale = 1.0f;
};

std::span<const EnumName<BoxLoss>> enum_names(BoxLoss);
std::span<const EnumName<NmsKind>> enum_names(NmsKind);

/// Checks that the layer's input has `per_cell` anchors times 5 + classes channels, that the mask
/// names anchors, and adds the head to the graph; its raw values are the layer's input unless they
/// are given. Fills in an empty mask. Throws ConfigError at the layer.
void add_head(LayerBuilder& b, DetectionHead head);

/// What "classes: auto" means for a head of `masks` anchors without a convolution of its own: the
/// data's count, or before the data is open what the filters of the convolution before it tell.
int head_classes(const LayerBuilder& b, int masks);

/// A convolution with bias and nothing behind it, as heads end in; parameters LAYER.SCOPE.*.
ValueId add_prediction(int size, int filters, LayerBuilder& b, ValueId x, const std::string& scope);

/// The true boxes as an input of the graph, [1, M, 1, 5]; made by the first head that asks.
ValueId boxes_input(LayerBuilder& b);

/// Adds a loss to that of the heads before: the graph's loss is their sum.
void add_to_loss(LayerBuilder& b, ValueId loss);

}  // namespace daybreak
