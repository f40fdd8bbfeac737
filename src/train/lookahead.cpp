#include "train/lookahead.h"

#include <cmath>

namespace daybreak {

double lookahead_decay(const LookaheadSpec& spec, std::int64_t step, std::int64_t steps) {
  return spec.decay * std::pow(static_cast<double>(step) / static_cast<double>(steps), spec.power);
}

void Lookahead::after_step(std::int64_t step, std::int64_t steps) {
  const bool due = step % spec_.every == 0;
  if (due) slow_.follow(1.0 - lookahead_decay(spec_, step, steps));
  if (due || step == steps) slow_.give();
}

}  // namespace daybreak
