#include "backend/cpu/channel_part.h"

#include <cstring>

namespace daybreak {
namespace {

bool whole_planes(const Planes& all, const ChannelPart& part) {
  return all.pixel_stride == all.lanes && part.first % all.lanes == 0 &&
         (part.planes.channels % all.lanes == 0);
}

}  // namespace

void move_channels(const Planes& all, const ChannelPart& part, std::int64_t n, float* whole,
                   float* piece, MoveChannels direction) {
  const bool to_part = direction == MoveChannels::to_part;
  const auto copy = [&](float* a, float* b, std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
    if (to_part) {
      std::memcpy(b, a, bytes);
    } else {
      std::memcpy(a, b, bytes);
    }
  };
  const Planes& p = part.planes;
  if (whole_planes(all, part)) {
    copy(whole + all.offset(n, part.first / all.lanes), piece + p.offset(n, 0), p.sample_stride);
    return;
  }
  if (!all.padded) {  // NHWC
    for (std::int64_t q = 0; q < all.pixels; ++q) {
      copy(whole + n * all.sample_stride + q * all.pixel_stride + part.first,
           piece + n * p.sample_stride + q * p.pixel_stride, p.channels);
    }
    return;
  }
  for (int c = 0; c < p.channels; ++c) {
    const int at = part.first + c;
    float* a = whole + all.offset(n, at / all.lanes) + at % all.lanes;
    float* b = piece + p.offset(n, c / p.lanes) + c % p.lanes;
    for (std::int64_t q = 0; q < all.pixels; ++q) {
      if (to_part) {
        b[q * p.pixel_stride] = a[q * all.pixel_stride];
      } else {
        a[q * all.pixel_stride] = b[q * p.pixel_stride];
      }
    }
  }
}

}  // namespace daybreak
