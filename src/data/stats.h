#pragma once

#include <cstdint>
#include <vector>

#include "config/specs.h"
#include "data/dataset.h"

namespace daybreak {

/// Mean and standard deviation (divisor N, over all pixels) of each channel after scaling, in the
/// order of the pictures (RGB).
struct ChannelStats {
  std::vector<double> mean, std;
};

/// Pictures that measure() looks at when a part has more: evenly spaced ones.
constexpr std::int64_t kMostMeasured = 65'536;

/// Measures pictures as the network sees them without augmentation: fitted to the input's size,
/// times input.scale. Sums are exact integers, so the result depends neither on threads nor on what
/// is cached. A channel that never varies gets std = scale, so that it can be divided by.
ChannelStats measure(const Dataset& data, const InputSpec& input,
                     std::int64_t most = kMostMeasured);

/// Measures at the pictures' own size, or that of the first one when sizes differ.
[[deprecated(
    "complete_statistics(input, train) also looks at size, fit and channel order")]] ChannelStats
measure(const Dataset& data, double scale);

/// Fills input.mean and input.std where they are empty, in the network's channel order.
void complete_statistics(InputSpec& input, const Dataset& train);

/// The mean as bytes in RGB order, for cutout; empty while the mean is not known.
std::vector<std::uint8_t> mean_colour(const InputSpec& input);

}  // namespace daybreak
