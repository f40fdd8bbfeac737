#include "ops/distance.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Distance::describe() const {
  switch (distance) {
    case DistanceKind::l1:
      return "l1 (mean)";
    case DistanceKind::l2:
      return "l2 (mean)";
    case DistanceKind::smooth_l1:
      return fmt::format("smooth_l1 {:g} (mean)", beta);
  }
  return "?";
}

Shape Distance::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_equal(inputs[0], inputs[1]);
  if (distance == DistanceKind::smooth_l1 && !(beta > 0.0f)) {
    throw ShapeError(fmt::format("beta is {:g}, must be larger than 0", beta));
  }
  return {1, 1, 1, 1};
}

std::int64_t Distance::flops(std::span<const Shape> inputs) const {
  return (distance == DistanceKind::smooth_l1 ? 5 : 3) * inputs[0].count();
}

}  // namespace daybreak
