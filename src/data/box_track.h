#pragma once

#include <vector>

#include "data/fit.h"
#include "data/label_box.h"

// Boxes that follow a picture through its transforms. Coordinates are edges between pixels: the
// picture spans 0..w, pixel i covers i..i + 1.

namespace daybreak {

/// A box on its way, in pixels of the picture as it is now.
struct TrackedBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  double kept = 1;  ///< share of its area that no edge has cut off so far
  LabelBox label;   ///< its box is the one before the transforms
};
using TrackedBoxes = std::vector<TrackedBox>;

/// Adds the boxes of a w x h picture.
void track(const std::vector<LabelBox>& boxes, int w, int h, TrackedBoxes& tracked);
/// x becomes x * scale_x + shift_x, and y alike, of the boxes from `first` on.
void move_boxes(TrackedBoxes& tracked, double scale_x, double shift_x, double scale_y,
                double shift_y, std::size_t first = 0);
void mirror_boxes(TrackedBoxes& tracked, int w, int h, bool vertical);
/// The boxes around the rotated boxes; as data/transforms.h rotates a w x h picture.
void rotate_boxes(TrackedBoxes& tracked, double degrees, int w, int h);
/// Boxes of the part `g.crop`, resized to `g.place` and cut there.
void fit_boxes(TrackedBoxes& tracked, const FitGeometry& g, std::size_t first = 0);
/// Cuts the boxes from `first` on at a rectangle; what lies outside keeps nothing.
void cut_boxes(TrackedBoxes& tracked, double x0, double y0, double x1, double y1,
               std::size_t first = 0);
/// The boxes of which at least `min_visible` is left, as fractions of the w x h picture.
void finish_boxes(const TrackedBoxes& tracked, int w, int h, double min_visible,
                  std::vector<LabelBox>& boxes);

}  // namespace daybreak
