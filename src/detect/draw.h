#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detect/decode.h"

namespace daybreak {

/// A rectangle to draw, with corners in pixels of the picture, and what its label says.
struct LabelledBox {
  double left = 0, top = 0, right = 0, bottom = 0;
  int category = 0;  ///< decides the colour
  std::string label;
};

/// Draws frames, then labels into an RGB picture [height, width, 3], the last box on top. Labels
/// are placed so that none hides another where there is room. Line width and letters grow with the
/// picture; text is black or white, whichever is legible on its colour.
/// Characters the drawing font lacks (all but ASCII) become "?".
void draw_boxes(std::uint8_t* rgb, int width, int height, const std::vector<LabelledBox>& boxes);

/// A colour for a category, 0xRRGGBB: neighbours differ, all are bright.
std::uint32_t category_colour(int category);

}  // namespace daybreak
