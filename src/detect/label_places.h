#pragma once

#include <vector>

namespace daybreak {

/// Whole pixels of a picture: left, top and size.
struct PixelRect {
  int x = 0, y = 0, w = 0, h = 0;
  bool operator==(const PixelRect&) const = default;
};

/// A frame and the size of the label that belongs to it; a size of zero is no label.
struct FrameLabel {
  PixelRect frame;
  int w = 0, h = 0;
};

/// Where labels go so that none hides another: the last frame chooses first. A label stands above
/// its frame where there is room, else inside, below or beside it, else a few lines away; where
/// every place is taken, the one that hides least. All lie in the picture if they fit.
std::vector<PixelRect> place_labels(const std::vector<FrameLabel>& labels, int width, int height);

}  // namespace daybreak
