#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace daybreak {

using BoxShape = std::array<double, 2>;  ///< width, height in pixels of the network's input

struct AnchorClusters {
  std::vector<BoxShape> anchors;     ///< by area, the smallest first
  double mean_iou = 0.0;             ///< of every shape with its best anchor, both at one place
  double worst_iou = 0.0;            ///< the least of them
  std::vector<std::int64_t> counts;  ///< shapes whose best anchor this is
};

/// k-means over the shapes of boxes with the distance 1 - IoU of two shapes at one place (Redmon,
/// Farhadi 2017): a cluster's anchor is the mean of its members. Starts are drawn as in k-means++
/// (Arthur, Vassilvitskii 2007), keyed by `seed` and the number of the start; the best of ten by
/// mean IoU is returned. More than 50,000 shapes are thinned evenly for the search. Throws
/// DataError when there are fewer different shapes than anchors.
AnchorClusters cluster_anchors(const std::vector<BoxShape>& shapes, int count, std::uint64_t seed);

/// IoU of two shapes with the same centre.
double shape_iou(const BoxShape& a, const BoxShape& b);

}  // namespace daybreak
