#pragma once

#include <optional>
#include <vector>

#include "config/specs.h"
#include "detect/decode.h"

namespace daybreak {

/// Which boxes a detector reports.
struct DetectOptions {
  float conf = 0.25f;               ///< boxes above this score are kept
  float nms = 0.45f;                ///< overlap above which the lower of two boxes goes
  std::optional<NmsKind> nms_kind;  ///< not given: what the network's heads say
};

/// The objects of one picture: every head of `graph` decoded, brought from fractions of the
/// network's input to fractions of the w x h picture, thinned out; best first, not clipped.
/// `raw[h]`: values of head h for this picture, whose maps are maps[h].
std::vector<Detection> find_objects(const Graph& graph, const std::vector<const float*>& raw,
                                    const std::vector<HeadMap>& maps, Fit fit, int w, int h,
                                    const DetectOptions& options);

}  // namespace daybreak
