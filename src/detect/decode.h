#pragma once

#include <vector>

#include "core/box.h"
#include "graph/graph.h"

namespace daybreak {

/// An object that a detector found.
struct Detection {
  Box box;  ///< fractions of the picture, or of the network's input where a function says so
  int category = 0;
  float score = 0.0f;  ///< objectness times the class's probability
};

/// What decoding needs to know besides the head: its map and the network's input, in pixels.
struct HeadMap {
  int height = 0, width = 0;
  int input_height = 0, input_width = 0;
};

/// Appends the boxes of one picture, as fractions of the network's input: a detection for every
/// class whose score is above `threshold`. `raw` is [masks * (5 + classes), H, W], plain. With s
/// the sigmoid, (i, j) the cell and (aw, ah) the anchor:
///   yolo    cx = (i + s(tx) * k - (k - 1) / 2) / W, w = exp(tw) * aw / input width, k = scale_x_y;
///           new_coords: tx, ty, tw, th, objectness and classes come squashed, w = 4 tw^2 * aw /
///           ...
///   region  cx = (i + s(tx)) / W, w = exp(tw) * aw / W; classes by softmax or sigmoid.
/// cy and h alike. Sizes that are not finite are left out.
void decode_head(const DetectionHead& head, const HeadMap& map, const float* raw, float threshold,
                 std::vector<Detection>& out);

/// The same for one map of an ssd head: softmax of the background and the classes, offsets from the
/// anchors as ops/ssd_loss.h has them.
void decode_ssd(const DetectionHead& head, const HeadMap& map, const float* raw, float threshold,
                std::vector<Detection>& out);

}  // namespace daybreak
