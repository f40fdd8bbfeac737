#include "ops/topk_count.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string TopkCount::describe() const {
  return fmt::format("top-{} count", k);
}

Shape TopkCount::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_logits_and_labels(inputs);
  check_at_least(k, 1, "k");
  return {1, 2, 1, 1};
}

std::int64_t TopkCount::flops(std::span<const Shape> inputs) const {
  return inputs[0].count();
}

}  // namespace daybreak
