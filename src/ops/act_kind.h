#pragma once

#include <cstdint>
#include <string_view>

namespace daybreak {

/// Elementwise activations. `none` stands for "no activation" where one can be fused.
enum class ActKind : std::uint8_t { none, relu, leaky, sigmoid, tanh };

/// An activation and its parameter: `slope` is the factor for negative inputs of `leaky`.
struct Activation {
  ActKind kind = ActKind::none;
  float slope = 0.1f;
  bool operator==(const Activation&) const = default;
};

std::string_view to_string(ActKind kind);

}  // namespace daybreak
