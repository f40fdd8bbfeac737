#pragma once

#include <vector>

#include "core/box.h"

// Boxes laid over the cells of a feature map, as fractions of the network's input: what an SSD head
// starts from. Their order is rows, columns, then the boxes of a cell. Corners may leave the
// picture.

namespace daybreak {

/// Boxes of sizes s_1..s_n and ratios r_1..r_m on every cell of a height x width map: n + m - 1 of
/// them, (s_i, r_1) for all i, then (s_1, r_j) for j >= 2. A box is s / sqrt(r) high and
/// s * sqrt(r) * height / width wide, so that ratio 1 is square on a square picture's map (Zhang et
/// al., Dive into Deep Learning, 14.4). Throws ConfigError when there is no size, ratio or cell, or
/// one is not positive.
std::vector<Box> grid_anchors(int height, int width, const std::vector<double>& sizes,
                              const std::vector<double>& ratios);

/// How one feature map of an SSD is covered (Liu et al. 2016).
struct SsdMap {
  int height = 0, width = 0;
  double cells_x = 0.0, cells_y = 0.0;  ///< input's width, height / step; 0: width, height
  double size = 0.0;                    ///< of this map, as a fraction of the input
  double next_size = 0.0;               ///< of the next map
  std::vector<double> ratios;           ///< besides 1
  bool clip = true;                     ///< cut at the picture's edges
};
/// On every cell, centred at ((x + 0.5) / cells_x, (y + 0.5) / cells_y): a square of `size`, one of
/// sqrt(size * next_size), and for every ratio a boxes of size * sqrt(a) x size / sqrt(a) and the
/// other way round. Throws ConfigError as above.
std::vector<Box> ssd_anchors(const SsdMap& map);

}  // namespace daybreak
