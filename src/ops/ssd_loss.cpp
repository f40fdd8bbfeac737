#include "ops/ssd_loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/check.h"

namespace daybreak {

std::string SsdLoss::describe() const {
  return fmt::format("ssd_loss over {} map{}", maps.size(), maps.size() == 1 ? "" : "s");
}

Shape SsdLoss::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  if (maps.empty()) throw ShapeError("an SSD head needs a feature map");
  for (std::size_t k = 0; k < maps.size(); ++k) {
    const std::size_t anchors = maps[k].sizes.size();
    if (anchors == 0 || inputs[k].c != static_cast<std::int64_t>(anchors) * (5 + classes)) {
      throw ShapeError(fmt::format("map {}: {} channels do not hold {} x (4 + 1 + {} classes)",
                                   k + 1, inputs[k].c, anchors, classes));
    }
    check_boxes(inputs[k], inputs.back());
  }
  return {1, 1, 1, 1};
}

// Softmax and overlaps of every anchor.
std::int64_t SsdLoss::flops(std::span<const Shape> inputs) const {
  std::int64_t total = 0;
  for (std::size_t k = 0; k < maps.size(); ++k) {
    const std::int64_t anchors = static_cast<std::int64_t>(maps[k].sizes.size());
    total +=
        5 * inputs[k].count() + 15 * inputs[k].n * inputs[k].spatial() * anchors * inputs.back().c;
  }
  return total;
}

std::vector<SsdPlace> ssd_places(const SsdLoss& op, std::span<const Shape> maps) {
  std::vector<SsdPlace> places;
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    const SsdMap& map = op.maps[k];
    const Shape& shape = maps[k];
    const double across = map.cells_x > 0.0f ? map.cells_x : shape.w;
    const double down = map.cells_y > 0.0f ? map.cells_y : shape.h;
    for (int cell = 0; cell < shape.spatial(); ++cell) {
      for (std::size_t a = 0; a < map.sizes.size(); ++a) {
        SsdPlace place;
        place.map = static_cast<int>(k);
        place.stride = shape.spatial();
        place.per_sample = shape.per_sample();
        place.offset = static_cast<std::int64_t>(a) * (5 + op.classes) * place.stride + cell;
        place.cx = std::min(1.0, (cell % shape.w + 0.5) / across);
        place.cy = std::min(1.0, (cell / shape.w + 0.5) / down);
        place.w = map.sizes[a][0], place.h = map.sizes[a][1];
        places.push_back(place);
      }
    }
  }
  return places;
}

std::array<double, 4> ssd_offsets(const SsdPlace& prior, const std::array<double, 4>& truth) {
  return {(truth[0] - prior.cx) / prior.w / kSsdCentreVariance,
          (truth[1] - prior.cy) / prior.h / kSsdCentreVariance,
          std::log(truth[2] / prior.w) / kSsdSizeVariance,
          std::log(truth[3] / prior.h) / kSsdSizeVariance};
}

}  // namespace daybreak
