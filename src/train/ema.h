#pragma once

#include <cstdint>

#include "config/specs.h"
#include "plan/weight_copy.h"

namespace daybreak {

/// The decay of the n-th step of a running mean, n from 1: spec.decay * (1 - exp(-n / ramp)), or
/// spec.decay without a ramp (the form of YOLOv5, whose ramp is 2000).
double ema_decay(const EmaSpec& spec, std::int64_t n);

/// Exponential running mean of all parameters and running statistics: mean = d * mean + (1 - d) * w
/// after every `every`-th update, from the initial weights on. Training itself does not see it.
class Ema {
 public:
  Ema(const EmaSpec& spec, ParamStore& params, Backend& backend)
      : spec_(spec), mean_(params, backend) {}

  void start() { mean_.take(); }
  /// `step`: updates done.
  void after_step(std::int64_t step);
  WeightCopy& mean() { return mean_; }

 private:
  EmaSpec spec_;
  WeightCopy mean_;
};

}  // namespace daybreak
