#pragma once

#include <vector>

#include "core/box.h"
#include "detect/decode.h"

namespace daybreak {

struct NmsOptions {
  NmsKind kind = NmsKind::iou;
  float threshold = 0.45f;  ///< overlap above which the lower score goes, or fades (soft_linear)
  float beta = 0.6f;        ///< exponent of NmsKind::diou
  float sigma = 0.5f;       ///< soft_gaussian: scores fade by exp(-IoU^2 / sigma)
  float min_score = 0.0f;   ///< soft kinds: what fades to or below this is dropped
};

/// Non-maximum suppression within each category (Bodla et al. 2017 for the soft kinds). Of equal
/// scores the one that comes first in `found` is taken first. The result is sorted by score, best
/// first, then by place in `found`; soft kinds change scores. What has NaN for a score is dropped.
std::vector<Detection> suppress(std::vector<Detection> found, const NmsOptions& options);

}  // namespace daybreak
