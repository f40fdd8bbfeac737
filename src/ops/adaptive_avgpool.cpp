#include "ops/adaptive_avgpool.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string AdaptiveAvgPool::describe() const {
  if (out_h == 1 && out_w == 1) return "global avgpool";
  return fmt::format("avgpool to {}x{}", out_h, out_w);
}

Shape AdaptiveAvgPool::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(out_h, 1, "output height");
  check_at_least(out_w, 1, "output width");
  return checked_shape(inputs[0].n, inputs[0].c, out_h, out_w);
}

// Every pixel is added once (windows of sizes that do not divide overlap by one pixel at most).
std::int64_t AdaptiveAvgPool::flops(std::span<const Shape> inputs) const {
  return inputs[0].count();
}

}  // namespace daybreak
