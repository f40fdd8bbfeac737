#pragma once

#include <algorithm>
#include <cmath>

#include "ops/act_kind.h"

namespace daybreak {

constexpr double kSeluAlpha = 1.6732632423543772, kSeluScale = 1.0507009873554805;
/// sqrt(2 / pi), and that times 0.044715: the tanh form of GELU (Hendrycks and Gimpel 2016).
constexpr double kGelu1 = 0.7978845608028654, kGelu3 = 0.035677408136300125;

/// log(1 + exp(x)) without overflow.
inline double softplus(double x) {
  return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

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
    case ActKind::relu6:
      return std::isnan(x) ? x : std::clamp(x, 0.0, 6.0);
    case ActKind::elu:
      return x > 0.0 ? x : std::expm1(x);
    case ActKind::selu:
      return kSeluScale * (x > 0.0 ? x : kSeluAlpha * std::expm1(x));
    case ActKind::swish:
      return x / (1.0 + std::exp(-x));
    case ActKind::mish:
      return x * std::tanh(softplus(x));
    case ActKind::hard_mish:
      return x > 0.0 ? x : (x > -2.0 ? x * x / 2.0 + x : x * 0.0);
    case ActKind::gelu:
      return 0.5 * x * (1.0 + std::tanh(kGelu1 * x + kGelu3 * x * x * x));
    case ActKind::ramp:
      return (x > 0.0 ? x : 0.0) + 0.1 * x;
    case ActKind::loggy:
      return 2.0 / (1.0 + std::exp(-x)) - 1.0;
    case ActKind::hardtan:
      return std::isnan(x) ? x : std::clamp(x, -1.0, 1.0);
    case ActKind::lhtan:
      return x < 0.0 ? 0.001 * x : (x > 1.0 ? 0.001 * (x - 1.0) + 1.0 : x);
    case ActKind::plse:
      return x < -4.0 ? 0.01 * (x + 4.0) : (x > 4.0 ? 0.01 * (x - 4.0) + 1.0 : 0.125 * x + 0.5);
    case ActKind::stair: {
      const double n = std::floor(x);
      return std::fmod(n, 2.0) == 0.0 ? std::floor(x / 2.0) : x - n + std::floor(x / 2.0);
    }
  }
  return x;
}

/// Its derivative, computed from the value y, or from the input where needs_input(act.kind).
inline double act_derivative(const Activation& act, double v) {
  switch (act.kind) {
    case ActKind::none:
      return 1.0;
    case ActKind::relu:
      return v > 0.0 ? 1.0 : 0.0;
    case ActKind::leaky:
      return v > 0.0 ? 1.0 : act.slope;
    case ActKind::sigmoid:
      return v * (1.0 - v);
    case ActKind::tanh:
      return 1.0 - v * v;
    case ActKind::relu6:
      return v > 0.0 && v < 6.0 ? 1.0 : 0.0;
    case ActKind::elu:
      return v > 0.0 ? 1.0 : v + 1.0;
    case ActKind::selu:
      return v > 0.0 ? kSeluScale : v + kSeluScale * kSeluAlpha;
    case ActKind::swish: {
      const double s = 1.0 / (1.0 + std::exp(-v));
      return s * (1.0 + v * (1.0 - s));
    }
    case ActKind::mish: {
      const double t = std::tanh(softplus(v));
      return t + v * (1.0 - t * t) / (1.0 + std::exp(-v));
    }
    case ActKind::hard_mish:
      return v > 0.0 ? 1.0 : (v > -2.0 ? v + 1.0 : 0.0);
    case ActKind::gelu: {
      const double t = std::tanh(kGelu1 * v + kGelu3 * v * v * v);
      return 0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * (kGelu1 + 3.0 * kGelu3 * v * v);
    }
    case ActKind::ramp:
      return v > 0.0 ? 1.1 : 0.1;
    case ActKind::loggy:
      return (1.0 - v * v) / 2.0;
    case ActKind::hardtan:
      return v > -1.0 && v < 1.0 ? 1.0 : 0.0;
    case ActKind::lhtan:
      return v > 0.0 && v < 1.0 ? 1.0 : 0.001;
    case ActKind::plse:
      return v < 0.0 || v > 1.0 ? 0.01 : 0.125;
    case ActKind::stair:
      return v == std::floor(v) ? 0.0 : 1.0;
  }
  return 1.0;
}

}  // namespace daybreak
