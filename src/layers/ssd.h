#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "config/schema.h"
#include "ops/ssd_loss.h"

namespace daybreak {

/// How sizes and ratios make anchors: as "Dive into Deep Learning" (d2l) or as the paper (ssd).
enum class AnchorStyle : std::uint8_t { d2l, ssd };
std::span<const EnumName<AnchorStyle>> enum_names(AnchorStyle);

/// Options of the layer `ssd`, a head over several feature maps.
struct SsdOptions {
  std::vector<std::array<float, 2>> sizes;  ///< one pair a map, fractions of the input
  std::vector<float> ratios = {1.0f, 2.0f, 0.5f};
  std::vector<int> ratio_counts;  ///< how many of the ratios a map takes; empty: all
  std::vector<float> steps;       ///< ssd: pixels of the input between anchors; empty: by the map
  AnchorStyle style = AnchorStyle::d2l;
  int classes = 0;  ///< 0: the data set's
  int conv = 3;     ///< size of the convolution on each map
  float match_iou = 0.5f;
  float negatives = 3.0f;
};

/// Width and height of a map's anchors, as fractions of the input. With sizes (s, t):
///   d2l  (s, r1), (t, r1), then (s, r) for the other ratios: h = s / sqrt r, w = s sqrt r * H / W
///        for a map H x W
///   ssd  (s, s), (sqrt(s t), sqrt(s t)), then for each ratio a (s sqrt a, s / sqrt a) and
///        (s / sqrt a, s sqrt a); cut at 1
std::vector<std::array<float, 2>> ssd_anchor_sizes(AnchorStyle style,
                                                   const std::array<float, 2>& sizes,
                                                   std::span<const float> ratios, int height,
                                                   int width);

}  // namespace daybreak
