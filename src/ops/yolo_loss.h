#pragma once

#include <array>
#include <vector>

#include "core/box.h"
#include "ops/op.h"

namespace daybreak {

/// What YoloLoss can count at most: anchors of all heads together.
constexpr int kMaxYoloAnchors = 64;

/// The objective of one YOLO head (Redmon 2018; Bochkovskiy 2020 for the overlap losses). Inputs:
/// raw values [N, A * (5 + C), H, W] (for each anchor of the mask tx, ty, tw, th, objectness and C
/// classes) and true boxes [N, M, 1, 5] (category, centre x, y, width, height as fractions of the
/// network's input; category < 0: unused). Output {1, 1, 1, 1}: the sum over all positions of the
/// batch, divided by N.
///
/// Which anchors learn a truth: of its cell, the anchor with the best IoU of shapes over all
/// anchors, when the mask has it, and those of the mask above `iou_thresh`. Where several truths
/// want one place, the last of those that fit best wins the box, and the classes of all are taught.
/// The other places learn objectness 0, unless their box overlaps a truth by more than
/// `ignore_thresh`; above `truth_thresh` they learn that truth. These choices count as constants.
///
/// With b(x, t) = -t ln p - (1 - t) ln(1 - p), p = sigmoid(x), or p = x with `new_coords`:
///   objectness  obj_normalizer * b
///   classes     cls_normalizer * |t - p|^focal * b, t = 1 - e / 2 or e / 2 with label smoothing e
///   boxes       iou_normalizer * (1 - overlap of the decoded box, in fractions, with the truth)
///               or, for mse, iou_normalizer * (2 - w h) * (b(tx, tx*) + b(ty, ty*) +
///               ((tw - tw*)^2 + (th - th*)^2) / 2): * marks the raw value that decodes to the
///               truth
/// aux holds the gradient.
struct YoloLoss final : Op {
  std::vector<std::array<float, 2>> anchors;  ///< width, height in pixels, of all heads
  std::vector<int> mask;                      ///< those of this head
  int classes = 1;
  float stride_x = 32.0f, stride_y = 32.0f;  ///< pixels of the network's input a cell has
  BoxLoss box_loss = BoxLoss::mse;
  float ignore_thresh = 0.5f;
  float truth_thresh = 1.0f;
  float iou_thresh = 1.0f;
  float iou_normalizer = 0.75f, obj_normalizer = 1.0f, cls_normalizer = 1.0f;
  float scale_x_y = 1.0f;
  bool new_coords = false;
  float label_smoothing = 0.0f;
  float focal = 0.0f;  ///< exponent; 0: none

  OpKind kind() const override { return OpKind::yolo_loss; }
  std::string describe() const override;
  int min_inputs() const override { return 2; }
  int max_inputs() const override { return 2; }
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {.aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

}  // namespace daybreak
