#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ops/act_kind.h"
#include "ops/op.h"

namespace daybreak {

/// Throws ShapeError unless the op takes this many inputs and every extent is at least 1.
void check_inputs(const Op& op, std::span<const Shape> inputs);

/// Throws ShapeError unless `value` is at least `least`; `what` names the attribute.
void check_at_least(std::int64_t value, std::int64_t least, const char* what);

/// A shape of at most 2^40 elements whose extents fit an int, so that byte counts never overflow;
/// throws ShapeError otherwise.
Shape checked_shape(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w);

/// Throws ShapeError unless both shapes are equal, batch included.
void check_equal(const Shape& a, const Shape& b);

/// Throws ShapeError unless inputs are logits [N, K, 1, 1] and labels [N, 1, 1, 1].
void check_logits_and_labels(std::span<const Shape> inputs);

/// Throws ShapeError unless `boxes` is [N, M, 1, 5] for the batch of `map`.
void check_boxes(const Shape& map, const Shape& boxes);

/// A parameter over channels: dims [c], shape {1, c, 1, 1}.
ParamSpec channel_param(const char* suffix, ParamRole role, int channels);

/// " + relu", " + leaky 0.1", or nothing for no activation: the end of describe() of fused ops.
std::string fused_text(const Activation& act);

}  // namespace daybreak
