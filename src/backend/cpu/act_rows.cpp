#include "backend/cpu/act_rows.h"

namespace daybreak {

void zero_padding(const Planes& planes, float* data) {
  if (!planes.padded) return;
  const int last = planes.per_sample - 1, used = planes.channels_at(last);
  if (used == planes.lanes) return;
  for (std::int64_t n = 0; n < planes.samples; ++n) {
    float* plane = data + planes.offset(n, last);
    for (std::int64_t q = 0; q < planes.pixels; ++q) {
      for (int l = used; l < planes.lanes; ++l) plane[q * planes.pixel_stride + l] = 0.0f;
    }
  }
}

}  // namespace daybreak
