#pragma once

#include "config/specs.h"

namespace daybreak {

/// Value at t in [0, 1] of a curve from `start` to `end`:
///   constant     start
///   linear       s + (e - s) t
///   cosine       e + (s - e) / 2 (1 + cos(pi t))
///   exponential  s (e / s)^t, both above 0
///   polynomial   e + (s - e) (1 - t)^power
double curve_value(Curve curve, double start, double end, double t, double power);

/// Rate of a Caffe or Darknet policy at iteration `it` of `total`:
///   step         lr gamma^floor(it / every)
///   steps        lr gamma^(number of `at` <= it)
///   exponential  lr gamma^it
///   inverse      lr (1 + gamma it)^-power
///   polynomial   lr (1 - it / total)^power
///   sigmoid      lr / (1 + exp(-gamma (it - every))): Caffe's sign, it rises for gamma > 0;
///                Darknet's is the one with -gamma
/// While it < burn_in: lr (it / burn_in)^burn_in_power whatever the policy (Darknet).
double policy_lr(const PolicySpec& policy, double it, double total);

/// "linear", and "linear momentum" style names for tables.
const char* to_string(Curve curve);
const char* to_string(PolicyKind kind);

}  // namespace daybreak
