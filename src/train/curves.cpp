#include "train/curves.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daybreak {

double curve_value(Curve curve, double start, double end, double t, double power) {
  switch (curve) {
    case Curve::constant:
      return start;
    case Curve::linear:
      return start + (end - start) * t;
    case Curve::cosine:
      return end + (start - end) / 2.0 * (1.0 + std::cos(std::numbers::pi * t));
    case Curve::exponential:
      return start * std::pow(end / start, t);
    case Curve::polynomial:
      return end + (start - end) * std::pow(1.0 - t, power);
  }
  return start;
}

double policy_lr(const PolicySpec& policy, double it, double total) {
  if (it < static_cast<double>(policy.burn_in)) {
    const double part = it / static_cast<double>(policy.burn_in);
    return policy.lr * std::pow(part, policy.burn_in_power);
  }
  const auto every = static_cast<double>(policy.every);
  switch (policy.kind) {
    case PolicyKind::none:
      return policy.lr;
    case PolicyKind::step:
      return policy.lr * std::pow(policy.gamma, std::floor(it / every));
    case PolicyKind::steps: {
      const auto reached = std::count_if(policy.at.begin(), policy.at.end(), [&](std::int64_t at) {
        return static_cast<double>(at) <= it;
      });
      return policy.lr * std::pow(policy.gamma, static_cast<double>(reached));
    }
    case PolicyKind::exponential:
      return policy.lr * std::pow(policy.gamma, it);
    case PolicyKind::inverse:
      return policy.lr * std::pow(1.0 + policy.gamma * it, -policy.power);
    case PolicyKind::polynomial:
      return policy.lr * std::pow(1.0 - it / total, policy.power);
    case PolicyKind::sigmoid:
      return policy.lr / (1.0 + std::exp(-policy.gamma * (it - every)));
  }
  return policy.lr;
}

const char* to_string(Curve curve) {
  switch (curve) {
    case Curve::constant:
      return "constant";
    case Curve::linear:
      return "linear";
    case Curve::cosine:
      return "cosine";
    case Curve::exponential:
      return "exponential";
    case Curve::polynomial:
      return "polynomial";
  }
  return "?";
}

const char* to_string(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::none:
      return "constant";
    case PolicyKind::step:
      return "step";
    case PolicyKind::steps:
      return "steps";
    case PolicyKind::exponential:
      return "exponential";
    case PolicyKind::inverse:
      return "inverse";
    case PolicyKind::polynomial:
      return "polynomial";
    case PolicyKind::sigmoid:
      return "sigmoid";
  }
  return "?";
}

}  // namespace daybreak
