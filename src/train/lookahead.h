#pragma once

#include <cstdint>

#include "config/specs.h"
#include "plan/weight_copy.h"

namespace daybreak {

/// Share of the old slow weights when `step` of `steps` updates are done: decay * (step /
/// steps)^power.
double lookahead_decay(const LookaheadSpec& spec, std::int64_t step, std::int64_t steps);

/// Lookahead (Zhang et al. 2019): after every `every`-th update the slow weights move towards the
/// trained ones, slow = d * slow + (1 - d) * w, and training goes on from there: w = slow. Running
/// statistics take part, the optimizer's arrays do not. After the last update w = slow. A decay
/// that grows with the third power is that of hlb-CIFAR10 and airbench94 (Jordan 2024).
class Lookahead {
 public:
  Lookahead(const LookaheadSpec& spec, ParamStore& params, Backend& backend)
      : spec_(spec), slow_(params, backend) {}

  void start() { slow_.take(); }
  /// `step`: updates done, of `steps` in the whole training.
  void after_step(std::int64_t step, std::int64_t steps);
  WeightCopy& slow() { return slow_; }

 private:
  LookaheadSpec spec_;
  WeightCopy slow_;
};

}  // namespace daybreak
