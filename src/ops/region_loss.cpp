#include "ops/region_loss.h"

#include <fmt/format.h>

#include "ops/check.h"
#include "ops/yolo_loss.h"

namespace daybreak {

std::string RegionLoss::describe() const {
  return fmt::format("region_loss, {} anchor{} (sum, per picture)", anchors.size(),
                     anchors.size() == 1 ? "" : "s");
}

Shape RegionLoss::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  if (anchors.empty() || anchors.size() > kMaxYoloAnchors) {
    throw ShapeError(fmt::format("a head trains with 1 to {} anchors, found {}", kMaxYoloAnchors,
                                 anchors.size()));
  }
  if (inputs[0].c != static_cast<std::int64_t>(anchors.size()) * (5 + classes)) {
    throw ShapeError(fmt::format("{} channels do not hold {} x (5 + {} classes)", inputs[0].c,
                                 anchors.size(), classes));
  }
  check_boxes(inputs[0], inputs[1]);
  return {1, 1, 1, 1};
}

std::int64_t RegionLoss::flops(std::span<const Shape> inputs) const {
  const std::int64_t places =
      std::int64_t{inputs[0].n} * inputs[0].spatial() * static_cast<std::int64_t>(anchors.size());
  return 5 * inputs[0].count() + 20 * places * inputs[1].c;
}

}  // namespace daybreak
