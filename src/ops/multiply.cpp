#include "ops/multiply.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

Shape Multiply::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  const Shape &x = inputs[0], &f = inputs[1];
  if (x.n != f.n) throw ShapeError(fmt::format("inputs have batch {} and {}", x.n, f.n));
  const bool channels = f.c == x.c || f.c == 1;
  const bool pixels = (f.h == x.h && f.w == x.w) || (f.h == 1 && f.w == 1 && f.c == x.c);
  if (!channels || !pixels) {
    throw ShapeError(
        fmt::format("factors must be {}, {} x 1 x 1 (a channel) or 1 x {} x {} (a pixel), got {}",
                    to_string(x), x.c, x.h, x.w, to_string(f)));
  }
  return x;
}

}  // namespace daybreak
