#pragma once

#include "core/box.h"

namespace daybreak {

/// An object in a picture: its box as fractions of the picture, and its class.
struct LabelBox {
  Box box;
  int category = 0;
  float area = 0.0f;       ///< COCO: of the object, in pixels; 0: that of the box
  bool difficult = false;  ///< VOC: a detection of it is neither right nor wrong
  bool crowd = false;      ///< COCO: a group; absorbs detections, is not trained on
};

}  // namespace daybreak
