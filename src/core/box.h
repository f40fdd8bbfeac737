#pragma once

#include <cstdint>

namespace daybreak {

/// A rectangle by its centre and size, as fractions of a picture, or of the network's input where a
/// function says so. Corners may lie outside.
struct Box {
  float cx = 0.0f, cy = 0.0f, w = 0.0f, h = 0.0f;
  bool operator==(const Box&) const = default;
};

/// How a head's boxes are compared with the truth in training: squared error of the raw numbers, or
/// 1 minus one of the overlaps below.
enum class BoxLoss : std::uint8_t { mse, iou, giou, diou, ciou };

/// Non-maximum suppression: what counts as overlap (iou; Darknet's greedynms and diounms, which
/// subtract (d^2/c^2)^0.6 and (d^2/c^2)^beta), or how scores fade instead of being dropped (soft).
enum class NmsKind : std::uint8_t { iou, greedy, diou, soft_linear, soft_gaussian };

/// Intersection over union, in [0, 1]; 0 for an empty union.
double iou(const Box& a, const Box& b);
/// IoU - (C - U) / C with C the area of the enclosing box (Rezatofighi et al. 2019).
double giou(const Box& a, const Box& b);
/// IoU - (d^2 / c^2)^exponent: d between the centres, c the enclosing box's diagonal (Zheng et al.
/// 2020, where the exponent is 1).
double diou(const Box& a, const Box& b, double exponent = 1.0);
/// DIoU - alpha * v: v compares the aspects, alpha = v / (1 - IoU + v + 1e-6). The second box is
/// the truth.
double ciou(const Box& predicted, const Box& truth);

}  // namespace daybreak
