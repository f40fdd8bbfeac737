#include "train/ema.h"

#include <cmath>

namespace daybreak {

double ema_decay(const EmaSpec& spec, std::int64_t n) {
  if (spec.ramp <= 0.0) return spec.decay;
  return spec.decay * -std::expm1(-static_cast<double>(n) / spec.ramp);
}

void Ema::after_step(std::int64_t step) {
  if (step % spec_.every == 0) mean_.follow(1.0 - ema_decay(spec_, step / spec_.every));
}

}  // namespace daybreak
