#pragma once

#include <cstdint>

#include "backend/cpu/planes.h"

namespace daybreak {

/// A tensor whose channels are a stretch of another tensor's, both in the same layout.
struct ChannelPart {
  Planes planes;
  int first = 0;  ///< channel of the whole where this part starts
};

enum class MoveChannels : std::uint8_t { to_whole, to_part };

/// Copies one sample's channels between the whole and the part. Parts that fill whole planes
/// (plain; blocked with a multiple of the block before and in them) are one memcpy; NHWC copies
/// runs of channels per pixel; blocked tensors with odd channels go channel by channel.
void move_channels(const Planes& all, const ChannelPart& part, std::int64_t sample, float* whole,
                   float* piece, MoveChannels direction);

}  // namespace daybreak
