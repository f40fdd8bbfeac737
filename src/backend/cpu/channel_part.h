#pragma once

#include <cstdint>
#include <cstring>

#include "backend/cpu/planes.h"

namespace daybreak {

/// A tensor whose channels are a stretch of another tensor's, both in the same layout.
struct ChannelPart {
  Planes planes;
  int first = 0;  ///< channel of the whole where this part starts
};

enum class MoveChannels : std::uint8_t { to_whole, to_part };

inline bool whole_planes(const Planes& all, const ChannelPart& part) {
  return all.pixel_stride == all.lanes && part.first % all.lanes == 0 &&
         (part.planes.channels % all.lanes == 0);
}

/// Copies one sample's channels between the whole and the part. Parts that fill whole planes
/// (plain; blocked with a multiple of the block before and in them) are one memcpy; NHWC copies
/// runs of channels per pixel; blocked tensors with odd channels go channel by channel.
template <typename T>
void move_channels(const Planes& all, const ChannelPart& part, std::int64_t n, T* whole, T* piece,
                   MoveChannels direction) {
  const bool to_part = direction == MoveChannels::to_part;
  const auto copy = [&](T* a, T* b, std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
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
    T* a = whole + all.offset(n, at / all.lanes) + at % all.lanes;
    T* b = piece + p.offset(n, c / p.lanes) + c % p.lanes;
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
