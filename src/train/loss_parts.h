#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "graph/graph.h"

namespace daybreak {

/// What a detector's loss consists of, weights included; NaN where a head has no such parts.
struct LossParts {
  double box = std::numeric_limits<double>::quiet_NaN();
  double objectness = std::numeric_limits<double>::quiet_NaN();
  double classes = std::numeric_limits<double>::quiet_NaN();

  double sum() const { return box + objectness + classes; }
};

/// The node that computes a head's loss; null where its loss is not a sum of these three (ssd) or
/// the graph has none.
const GraphNode* parted_loss(const Graph& graph, const DetectionHead& head);

/// The parts of a `yolo` or `region` loss, summed over the first `pictures` of a batch: its inputs
/// are `raw` [N, map] and `rows` [N, truths, 5]. The weights of the other parts are set to zero,
/// so each part is what the loss itself computes.
LossParts loss_parts(const Op& op, const Shape& map, const float* raw, const float* rows,
                     int truths, int pictures);

}  // namespace daybreak
