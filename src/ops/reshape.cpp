#include "ops/reshape.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string Reshape::describe() const {
  if (c == -1 && h == 1 && w == 1) return "flatten";
  return fmt::format("reshape {}x{}x{}", c, h, w);
}

Shape Reshape::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const std::int64_t have = inputs[0].per_sample();
  std::int64_t extents[3] = {c, h, w};
  std::int64_t rest = have;  // what the extents known so far leave over; 0: they do not divide
  std::int64_t* unknown = nullptr;
  for (std::int64_t& extent : extents) {
    if (extent == -1) {
      if (unknown) throw ShapeError("only one extent of a reshape may be -1");
      unknown = &extent;
      continue;
    }
    check_at_least(extent, 1, "extent");
    rest = rest % extent == 0 ? rest / extent : 0;
  }
  if (rest < 1 || (!unknown && rest != 1)) {
    throw ShapeError(fmt::format("cannot reshape {} ({} values) to {} x {} x {}",
                                 to_string(inputs[0]), have, c, h, w));
  }
  if (unknown) *unknown = rest;
  return checked_shape(inputs[0].n, extents[0], extents[1], extents[2]);
}

std::int64_t Reshape::flops(std::span<const Shape>) const {
  return 0;
}

}  // namespace daybreak
