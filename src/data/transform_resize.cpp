#include <algorithm>
#include <cmath>

#include "data/transforms.h"

namespace daybreak {

PartRect draw_random_part(const RandomResizedCrop& spec, int w, int h, Draws& draws) {
  const double area = static_cast<double>(w) * h;
  const double log_low = std::log(spec.ratio[0]);
  const double log_high = std::log(spec.ratio[1]);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double part = area * (spec.area[0] + (spec.area[1] - spec.area[0]) * draws.uniform());
    const double ratio = std::exp(log_low + (log_high - log_low) * draws.uniform());
    const auto part_w = static_cast<std::int64_t>(std::llround(std::sqrt(part * ratio)));
    const auto part_h = static_cast<std::int64_t>(std::llround(std::sqrt(part / ratio)));
    if (part_w < 1 || part_h < 1 || part_w > w || part_h > h) continue;
    PartRect rect{0, 0, static_cast<int>(part_w), static_cast<int>(part_h)};
    rect.x = static_cast<int>(draws.below(static_cast<std::uint32_t>(w - rect.w + 1)));
    rect.y = static_cast<int>(draws.below(static_cast<std::uint32_t>(h - rect.h + 1)));
    return rect;
  }
  const double ratio = std::clamp(static_cast<double>(w) / h, spec.ratio[0], spec.ratio[1]);
  PartRect rect{0, 0, w, h};
  if (static_cast<double>(w) / h < ratio) {
    rect.h = std::clamp(static_cast<int>(std::lround(w / ratio)), 1, h);
  } else {
    rect.w = std::clamp(static_cast<int>(std::lround(h * ratio)), 1, w);
  }
  rect.x = (w - rect.w) / 2;
  rect.y = (h - rect.h) / 2;
  return rect;
}

std::array<int, 2> resized_size(const Resize& spec, int w, int h, int out_w, int out_h) {
  const std::int64_t wide_w = w;
  const std::int64_t wide_h = h;
  bool width_decides = w <= h;
  std::int64_t size = spec.size;
  if (spec.size == 0) {
    width_decides = wide_h * out_w >= wide_w * out_h;  // relatively narrow: its width must reach
    size = width_decides ? out_w : out_h;
  }
  if (width_decides) {
    return {static_cast<int>(size), static_cast<int>(std::max<std::int64_t>(1, wide_h * size / w))};
  }
  return {static_cast<int>(std::max<std::int64_t>(1, wide_w * size / h)), static_cast<int>(size)};
}

}  // namespace daybreak
