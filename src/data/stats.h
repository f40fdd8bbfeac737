#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace daybreak {

/// Mean and standard deviation (divisor N, over all pixels) of each channel, after scaling.
struct ChannelStats {
  std::vector<double> mean, std;
};

/// Measures a part's pictures as they are stored, times `scale`. Sums are exact integers, so the
/// result does not depend on threads. Pictures decoded on demand: at most `most_decoded` evenly
/// spaced ones are read. A channel that never varies gets std = scale, so that it can be divided
/// by.
ChannelStats measure(const Dataset& data, double scale = 1.0 / 255.0,
                     std::int64_t most_decoded = 10'000);

}  // namespace daybreak
