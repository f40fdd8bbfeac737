#pragma once

#include <cstdint>
#include <string_view>

namespace daybreak {

/// Elementwise activations. `none` stands for "no activation" where one can be fused. Formulas are
/// in ops/act_ref.h; those from `ramp` on are Darknet's.
enum class ActKind : std::uint8_t {
  none,
  relu,
  leaky,
  sigmoid,
  tanh,
  relu6,
  elu,
  selu,
  swish,
  mish,
  hard_mish,
  gelu,
  ramp,
  loggy,
  hardtan,
  lhtan,
  plse,
  stair
};

/// True when the derivative cannot be told from the value: backward reads the input.
constexpr bool needs_input(ActKind kind) {
  return kind == ActKind::swish || kind == ActKind::mish || kind == ActKind::hard_mish ||
         kind == ActKind::gelu;
}
/// An activation and its parameter: `slope` is the factor for negative inputs of `leaky`.
struct Activation {
  ActKind kind = ActKind::none;
  float slope = 0.1f;
  bool operator==(const Activation&) const = default;
};

std::string_view to_string(ActKind kind);

}  // namespace daybreak
