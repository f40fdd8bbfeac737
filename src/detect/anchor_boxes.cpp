#include "detect/anchor_boxes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace daybreak {
namespace {

void check_positive(const std::vector<double>& values, const char* what) {
  for (const double value : values) {
    if (!(value > 0) || !std::isfinite(value)) {
      throw ConfigError(fmt::format("anchor boxes: {} {} is not positive", what, value));
    }
  }
}

void check_map(int height, int width) {
  if (height < 1 || width < 1) {
    throw ConfigError(fmt::format("anchor boxes: a map of {} x {} has no cell", height, width));
  }
}

struct Side {
  double w, h;
};

Box make_box(double cx, double cy, const Side& side) {
  return {static_cast<float>(cx), static_cast<float>(cy), static_cast<float>(side.w),
          static_cast<float>(side.h)};
}

Box clipped(double cx, double cy, const Side& side) {
  const double x0 = std::clamp(cx - side.w / 2, 0.0, 1.0);
  const double x1 = std::clamp(cx + side.w / 2, 0.0, 1.0);
  const double y0 = std::clamp(cy - side.h / 2, 0.0, 1.0);
  const double y1 = std::clamp(cy + side.h / 2, 0.0, 1.0);
  return make_box((x0 + x1) / 2, (y0 + y1) / 2, {x1 - x0, y1 - y0});
}

}  // namespace

std::vector<Box> grid_anchors(int height, int width, const std::vector<double>& sizes,
                              const std::vector<double>& ratios) {
  check_map(height, width);
  check_positive(sizes, "size");
  check_positive(ratios, "ratio");
  if (sizes.empty() || ratios.empty()) {
    throw ConfigError("anchor boxes: at least one size and one ratio are needed");
  }
  const double aspect = static_cast<double>(height) / width;
  std::vector<Side> sides;
  const auto add = [&](double size, double ratio) {
    sides.push_back({size * std::sqrt(ratio) * aspect, size / std::sqrt(ratio)});
  };
  for (const double size : sizes) add(size, ratios[0]);
  for (std::size_t j = 1; j < ratios.size(); ++j) add(sizes[0], ratios[j]);
  std::vector<Box> boxes;
  boxes.reserve(sides.size() * static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const Side& side : sides) {
        boxes.push_back(make_box((x + 0.5) / width, (y + 0.5) / height, side));
      }
    }
  }
  return boxes;
}

std::vector<Box> ssd_anchors(const SsdMap& map) {
  check_map(map.height, map.width);
  check_positive({map.size, map.next_size}, "size");
  check_positive(map.ratios, "ratio");
  const double cells_x = map.cells_x > 0 ? map.cells_x : map.width;
  const double cells_y = map.cells_y > 0 ? map.cells_y : map.height;
  const double between = std::sqrt(map.size * map.next_size);
  std::vector<Side> sides = {{map.size, map.size}, {between, between}};
  for (const double ratio : map.ratios) {
    const double root = std::sqrt(ratio);
    sides.push_back({map.size * root, map.size / root});
    sides.push_back({map.size / root, map.size * root});
  }
  std::vector<Box> boxes;
  for (int y = 0; y < map.height; ++y) {
    for (int x = 0; x < map.width; ++x) {
      const double cx = (x + 0.5) / cells_x, cy = (y + 0.5) / cells_y;
      for (const Side& side : sides) {
        boxes.push_back(map.clip ? clipped(cx, cy, side) : make_box(cx, cy, side));
      }
    }
  }
  return boxes;
}

}  // namespace daybreak
