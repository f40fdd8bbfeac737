#include "ops/yolo_loss.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {
namespace {

const char* name_of(BoxLoss loss) {
  static const char* const kNames[] = {"mse", "iou", "giou", "diou", "ciou"};
  return kNames[static_cast<int>(loss)];
}

}  // namespace

std::string YoloLoss::describe() const {
  return fmt::format("yolo_loss, {} anchor{}, {} (sum, per picture)", mask.size(),
                     mask.size() == 1 ? "" : "s", name_of(box_loss));
}

Shape YoloLoss::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const std::int64_t wanted = static_cast<std::int64_t>(mask.size()) * (5 + classes);
  if (anchors.empty() || mask.empty() || anchors.size() > kMaxYoloAnchors) {
    throw ShapeError(fmt::format("a head trains with 1 to {} anchors, found {}", kMaxYoloAnchors,
                                 anchors.size()));
  }
  for (const int index : mask) {
    if (index < 0 || index >= static_cast<int>(anchors.size())) {
      throw ShapeError(fmt::format("there is no anchor {}", index));
    }
  }
  if (inputs[0].c != wanted) {
    throw ShapeError(fmt::format("{} channels do not hold {} x (5 + {} classes)", inputs[0].c,
                                 mask.size(), classes));
  }
  check_boxes(inputs[0], inputs[1]);
  return {1, 1, 1, 1};
}

// Every box is compared with every truth (about 20 operations), and every number squashed.
std::int64_t YoloLoss::flops(std::span<const Shape> inputs) const {
  const std::int64_t places = inputs[0].n * inputs[0].spatial() * std::int64_t(mask.size());
  return 5 * inputs[0].count() + 20 * places * inputs[1].c;
}

}  // namespace daybreak
