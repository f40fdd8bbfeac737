#include "ops/softmax_xent.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string SoftmaxXent::describe() const {
  if (label_smoothing == 0.0f) return "softmax_xent (mean over the batch)";
  return fmt::format("softmax_xent, smoothing {:g} (mean over the batch)", label_smoothing);
}

Shape SoftmaxXent::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_logits_and_labels(inputs);
  if (!(label_smoothing >= 0.0f && label_smoothing < 1.0f)) {
    throw ShapeError(fmt::format("label smoothing is {:g}, must be in [0, 1)", label_smoothing));
  }
  return {1, 1, 1, 1};
}

std::int64_t SoftmaxXent::flops(std::span<const Shape> inputs) const {
  return 5 * inputs[0].count();
}

}  // namespace daybreak
