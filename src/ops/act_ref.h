#pragma once

#include <cmath>

#include "ops/act_kind.h"

namespace daybreak {

/// The value of an activation.
inline double act_value(const Activation& act, double x) {
  switch (act.kind) {
    case ActKind::none:
      return x;
    case ActKind::relu:
      return x > 0.0 || std::isnan(x) ? x : 0.0;
    case ActKind::leaky:
      return x > 0.0 ? x : act.slope * x;
    case ActKind::sigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case ActKind::tanh:
      return std::tanh(x);
  }
  return x;
}

/// Its derivative, computed from the value.
inline double act_derivative(const Activation& act, double y) {
  switch (act.kind) {
    case ActKind::none:
      return 1.0;
    case ActKind::relu:
      return y > 0.0 ? 1.0 : 0.0;
    case ActKind::leaky:
      return y > 0.0 ? 1.0 : act.slope;
    case ActKind::sigmoid:
      return y * (1.0 - y);
    case ActKind::tanh:
      return 1.0 - y * y;
  }
  return 1.0;
}

}  // namespace daybreak
