#include "ops/act.h"

#include <fmt/format.h>

#include "ops/check.h"

namespace daybreak {

std::string_view to_string(ActKind kind) {
  switch (kind) {
    case ActKind::none:
      return "none";
    case ActKind::relu:
      return "relu";
    case ActKind::leaky:
      return "leaky";
    case ActKind::sigmoid:
      return "sigmoid";
    case ActKind::tanh:
      return "tanh";
    case ActKind::relu6:
      return "relu6";
    case ActKind::elu:
      return "elu";
    case ActKind::selu:
      return "selu";
    case ActKind::swish:
      return "swish";
    case ActKind::mish:
      return "mish";
    case ActKind::hard_mish:
      return "hard_mish";
    case ActKind::gelu:
      return "gelu";
    case ActKind::ramp:
      return "ramp";
    case ActKind::loggy:
      return "loggy";
    case ActKind::hardtan:
      return "hardtan";
    case ActKind::lhtan:
      return "lhtan";
    case ActKind::plse:
      return "plse";
    case ActKind::stair:
      return "stair";
  }
  return "?";
}

std::string Act::describe() const {
  if (act.kind == ActKind::leaky) return fmt::format("leaky {:g}", act.slope);
  return std::string(to_string(act.kind));
}

Shape Act::infer(std::span<const Shape> inputs) const {
  check_inputs(*this, inputs);
  // The gradient reads the side of the kink off the output's sign.
  if (act.kind == ActKind::leaky && !(act.slope >= 0.0f)) {
    throw ShapeError(fmt::format("slope is {:g}, must be at least 0", act.slope));
  }
  return inputs[0];
}

std::int64_t Act::flops(std::span<const Shape> inputs) const {
  return inputs[0].count();
}

}  // namespace daybreak
