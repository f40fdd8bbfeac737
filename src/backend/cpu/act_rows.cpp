#include "backend/cpu/act_rows.h"

#include <algorithm>

namespace daybreak {

void zero_padding(const Planes& planes, DType dtype, std::byte* data) {
  if (!planes.padded) return;
  const int last = planes.per_sample - 1, used = planes.channels_at(last);
  if (used == planes.lanes) return;
  const auto size = static_cast<std::int64_t>(element_size(dtype));
  for (std::int64_t n = 0; n < planes.samples; ++n) {
    std::byte* plane = data + planes.offset(n, last) * size;
    for (std::int64_t q = 0; q < planes.pixels; ++q) {
      std::byte* pixel = plane + q * planes.pixel_stride * size;
      std::fill(pixel + used * size, pixel + planes.lanes * size, std::byte{0});
    }
  }
}

}  // namespace daybreak
