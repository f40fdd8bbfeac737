#include "ops/upsample.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Upsample::describe() const {
  return fmt::format("upsample {} x{}", upsample == UpsampleKind::nearest ? "nearest" : "bilinear",
                     scale);
}

Shape Upsample::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  check_at_least(scale, 1, "scale");
  const Shape& x = inputs[0];
  return checked_shape(x.n, x.c, std::int64_t{x.h} * scale, std::int64_t{x.w} * scale);
}

// Bilinear: three interpolations of a multiply-add and a difference.
std::int64_t Upsample::flops(std::span<const Shape> inputs) const {
  return upsample == UpsampleKind::nearest ? 0 : 9 * infer(inputs).count();
}

}  // namespace daybreak
