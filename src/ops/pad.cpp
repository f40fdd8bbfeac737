#include "ops/pad.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/check.h"

namespace daybreak {

namespace {

const char* name(PadKind kind) {
  switch (kind) {
    case PadKind::zero:
      return "zero";
    case PadKind::reflect:
      return "reflect";
    case PadKind::symmetric:
      return "symmetric";
  }
  return "?";
}

void check_side(PadKind kind, int before, int after, int extent, const char* axis) {
  if (kind == PadKind::zero) return;
  check_at_least(before, 0, "padding");
  check_at_least(after, 0, "padding");
  const int pad = std::max(before, after);
  if (kind == PadKind::reflect && pad >= extent) {
    throw ShapeError(
        fmt::format("reflect padding {} needs a {} larger than that, got {}", pad, axis, extent));
  }
  if (kind == PadKind::symmetric && pad > extent) {
    throw ShapeError(
        fmt::format("symmetric padding {} needs a {} of at least that, got {}", pad, axis, extent));
  }
}

}  // namespace

std::string Pad::describe() const {
  if (top <= 0 && left <= 0 && bottom <= 0 && right <= 0 && top + left + bottom + right < 0) {
    return fmt::format("crop {},{},{},{}", -top, -left, -bottom, -right);
  }
  if (top == left && top == bottom && top == right) return fmt::format("pad {} {}", name(pad), top);
  return fmt::format("pad {} {},{},{},{}", name(pad), top, left, bottom, right);
}

Shape Pad::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const Shape& x = inputs[0];
  check_side(pad, top, bottom, x.h, "height");
  check_side(pad, left, right, x.w, "width");
  return checked_shape(x.n, x.c, std::int64_t{x.h} + top + bottom,
                       std::int64_t{x.w} + left + right);
}

std::int64_t Pad::flops(std::span<const Shape>) const {
  return 0;
}

}  // namespace daybreak
