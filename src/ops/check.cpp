#include "ops/check.h"

#include <fmt/format.h>

#include <limits>

namespace daybreak {

void check_inputs(const Op& op, std::span<const Shape> inputs) {
  const int count = static_cast<int>(inputs.size());
  const int least = op.min_inputs(), most = op.max_inputs();
  if (count < least || count > most) {
    const std::string wanted =
        least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
    throw ShapeError(fmt::format("'{}' takes {} input{}, got {}", to_string(op.kind()), wanted,
                                 most == 1 ? "" : "s", count));
  }
  for (const Shape& s : inputs) {
    if (s.n < 1 || s.c < 1 || s.h < 1 || s.w < 1) {
      throw ShapeError(fmt::format("empty input {} with batch {}", to_string(s), s.n));
    }
  }
}

void check_at_least(std::int64_t value, std::int64_t least, const char* what) {
  if (value < least) {
    throw ShapeError(fmt::format("{} is {}, must be at least {}", what, value, least));
  }
}

Shape checked_shape(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
  constexpr std::int64_t kMaxExtent = std::numeric_limits<int>::max();
  std::int64_t count = 1;
  for (const std::int64_t extent : {n, c, h, w}) {
    if (extent < 1) {
      throw ShapeError(fmt::format("output would be {} x {} x {} with batch {}", c, h, w, n));
    }
    if (extent > kMaxExtent || extent > kMaxElements / count) {
      throw ShapeError(fmt::format("output {} x {} x {} with batch {} is larger than 2^40 elements",
                                   c, h, w, n));
    }
    count *= extent;
  }
  return {static_cast<int>(n), static_cast<int>(c), static_cast<int>(h), static_cast<int>(w)};
}

void check_equal(const Shape& a, const Shape& b) {
  if (a.n != b.n) throw ShapeError(fmt::format("inputs have batch {} and {}", a.n, b.n));
  if (a != b) {
    throw ShapeError(
        fmt::format("inputs must have equal shapes, got {} and {}", to_string(a), to_string(b)));
  }
}

void check_logits_and_labels(std::span<const Shape> inputs) {
  const Shape& logits = inputs[0];
  const Shape& labels = inputs[1];
  if (logits.spatial() != 1) {
    throw ShapeError(fmt::format("expected scores of shape K x 1 x 1, got {}", to_string(logits)));
  }
  if (labels.per_sample() != 1 || labels.n != logits.n) {
    throw ShapeError(fmt::format("expected one label for each of {} samples, got {} with batch {}",
                                 logits.n, to_string(labels), labels.n));
  }
}

void check_boxes(const Shape& map, const Shape& boxes) {
  if (boxes.n == map.n && boxes.h == 1 && boxes.w == 5) return;
  throw ShapeError(
      fmt::format("expected boxes M x 1 x 5 for each of {} samples, got {} with batch {}", map.n,
                  to_string(boxes), boxes.n));
}

ParamSpec channel_param(const char* suffix, ParamRole role, int channels) {
  return {suffix, role, {channels}, {1, channels, 1, 1}};
}

std::string fused_text(const Activation& act) {
  if (act.kind == ActKind::none) return "";
  if (act.kind == ActKind::leaky) return fmt::format(" + leaky {:g}", act.slope);
  return fmt::format(" + {}", to_string(act.kind));
}

}  // namespace daybreak
