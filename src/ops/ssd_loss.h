#pragma once

#include <array>
#include <vector>

#include "ops/op.h"

namespace daybreak {

/// The anchors (priors) of one feature map: in the middle of every cell, in this order.
struct SsdMap {
  std::vector<std::array<float, 2>> sizes;  ///< width, height as fractions of the input
  float cells_x = 0.0f, cells_y = 0.0f;     ///< cells across the input; 0: as many as the map has
};

/// What the encoded offsets are divided by: of centres and of sizes (Liu et al. 2016).
constexpr double kSsdCentreVariance = 0.1;
constexpr double kSsdSizeVariance = 0.2;

/// The objective of SSD (Liu et al. 2016) over all its feature maps. Inputs: K maps
/// [N, A_k * (5 + C), H_k, W_k] (for each anchor 4 offsets, the score of the background, C classes)
/// and true boxes [N, M, 1, 5] as YoloLoss. Output {1, 1, 1, 1}.
///
/// An anchor learns its best truth when their IoU is at least `match_iou`; the best anchor of every
/// truth learns it in any case (the last truth wins a clash). Of the others of a picture the
/// `negatives` * positives with the highest loss learn the background (ties: lower index first).
/// Loss: softmax cross-entropy of these anchors + smooth L1 of the positives' offsets
/// ((cx - px) / pw / 0.1, ..., ln(w / pw) / 0.2, ...), divided by max(1, positives of the batch).
/// The matches and the choice of negatives count as constants. aux holds the gradients.
struct SsdLoss final : Op {
  std::vector<SsdMap> maps;
  int classes = 1;
  float match_iou = 0.5f;
  float negatives = 3.0f;

  OpKind kind() const override { return OpKind::ssd_loss; }
  std::string describe() const override;
  int min_inputs() const override { return static_cast<int>(maps.size()) + 1; }
  int max_inputs() const override { return static_cast<int>(maps.size()) + 1; }
  Shape infer(std::span<const Shape> inputs) const override;
  bool differentiable(int input) const override { return input < static_cast<int>(maps.size()); }
  Reads backward_reads() const override { return {.aux = true}; }
  std::int64_t flops(std::span<const Shape> inputs) const override;
};

/// An anchor and where its 5 + C numbers lie: number c at sample * per_sample + offset + c * stride
/// of input `map`.
struct SsdPlace {
  int map = 0;
  std::int64_t offset = 0, stride = 0, per_sample = 0;
  double cx = 0.0, cy = 0.0, w = 0.0, h = 0.0;
};

/// All anchors for these shapes of the maps: map by map, row by row, cell by cell.
std::vector<SsdPlace> ssd_places(const SsdLoss& op, std::span<const Shape> maps);

/// The four offsets that make `prior` the truth (cx, cy, w, h).
std::array<double, 4> ssd_offsets(const SsdPlace& prior, const std::array<double, 4>& truth);

}  // namespace daybreak
