#pragma once

#include <array>
#include <vector>

#include "ops/op.h"

namespace daybreak {

/// The objective of a YOLOv2 head (Redmon, Farhadi 2017). Inputs: raw values
/// [N, A * (5 + C), H, W] (for each anchor tx, ty, tw, th, objectness and C classes) and true boxes
/// [N, M, 1, 5] as YoloLoss. Output {1, 1, 1, 1}: the sum over all positions of the batch, divided
/// by N.
///
/// A truth is learned in its cell by the anchor with the best IoU of shapes: of the anchors
/// (`bias_match`) or of the boxes predicted there. Where several truths want one place, the last
/// wins. The other places learn objectness 0 unless their box overlaps a truth by more than
/// `thresh`. These choices, and the IoU that `rescore` teaches, count as constants. With s =
/// sigmoid:
///   objectness  object_scale / 2 (t - s)^2, t = 1 or the IoU; noobject_scale / 2 s^2
///   boxes       coord_scale (2 - w h) / 2 ((s(tx) - tx*)^2 + (s(ty) - ty*)^2 + (tw - tw*)^2 +
///               (th - th*)^2), * the value that decodes to the truth
///   classes     class_scale times softmax cross-entropy, or the binary ones of all classes
/// aux holds the gradient.
struct RegionLoss final : Op {
  std::vector<std::array<float, 2>> anchors;  ///< width, height in cells
  int classes = 1;
  bool softmax = true;
  float thresh = 0.5f;
  bool rescore = false;
  bool bias_match = false;
  float object_scale = 1.0f, noobject_scale = 1.0f, class_scale = 1.0f, coord_scale = 1.0f;

  OpKind kind() const override { return OpKind::region_loss; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
