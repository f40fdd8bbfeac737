#include <algorithm>

#include "data/transforms.h"

namespace daybreak {

CutoutCentre draw_cutout(const Cutout& spec, int w, int h, Draws& draws) {
  const bool cut = draws.uniform() < static_cast<float>(spec.p);
  const auto x = static_cast<int>(draws.below(static_cast<std::uint32_t>(w)));
  const auto y = static_cast<int>(draws.below(static_cast<std::uint32_t>(h)));
  return cut ? CutoutCentre{x, y} : CutoutCentre{};
}

void cutout(std::uint8_t* pixels, int w, int h, int channels, CutoutCentre centre, int size,
            std::span<const std::uint8_t> colour) {
  if (centre.x < 0) return;
  const int x0 = std::max(0, centre.x - size / 2);
  const int y0 = std::max(0, centre.y - size / 2);
  const int x1 = std::min(w, centre.x - size / 2 + size);
  const int y1 = std::min(h, centre.y - size / 2 + size);
  for (int y = y0; y < y1; ++y) {
    std::uint8_t* p = pixels + (static_cast<std::int64_t>(y) * w + x0) * channels;
    for (int x = x0; x < x1; ++x, p += channels) std::copy_n(colour.begin(), channels, p);
  }
}

}  // namespace daybreak
