#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "config/union.h"
#include "graph/graph.h"
#include "ops/act_kind.h"

// Options that several layers share, and how they stand in YAML.

namespace daybreak {

// ---- activation ---------------------------------------------------------------------------------

/// `act: relu`, `act: {leaky: 0.1}`.
const Union<Activation>& config_union(Type<Activation>);
inline bool same_choice(const Activation& a, const Activation& b) {
  return a.kind == b.kind;
}

// ---- normalisation ------------------------------------------------------------------------------

enum class NormKind : std::uint8_t { none, batch, instance };

/// Stands for "drawn from U(0, 1)" in NormOptions::scale_init.
constexpr float kUniformScale = -1.0f;

/// `norm: batch`, `norm: {batch: {momentum: 0.01, scale_init: uniform}}`.
struct NormOptions {
  NormKind kind = NormKind::none;
  float momentum = 0.1f;  ///< share of the batch in the running statistics
  float eps = 1e-5f;
  bool affine = true;  ///< with scale and shift
  float scale_init = 1.0f;
  bool operator==(const NormOptions&) const = default;
};
const Union<NormOptions>& config_union(Type<NormOptions>);
inline bool same_choice(const NormOptions& a, const NormOptions& b) {
  return a.kind == b.kind;
}
Field<NormOptions, float> norm_momentum_field();
Field<NormOptions, float> norm_eps_field();
Field<NormOptions, bool> norm_affine_field();
Field<NormOptions, float> norm_scale_field();

/// What a scale parameter starts with.
Init scale_init(float value);

// ---- initialisation -----------------------------------------------------------------------------

/// `init: he`, `init: {normal: 0.02}`.
const Union<Init>& config_union(Type<Init>);
inline bool same_choice(const Init& a, const Init& b) {
  return a.kind == b.kind;
}

// ---- windows ------------------------------------------------------------------------------------

/// Padding that is not given: computed from the window, so that stride 1 keeps the size.
constexpr int kSamePad = -1;

/// dilation * (size - 1) / 2 where `pad` is kSamePad.
int resolve_pad(int pad, int size, int dilation);

}  // namespace daybreak
