#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

// The codecs behind image.h; nothing else includes this.

namespace daybreak::detail {

/// Refuses sides, pixel counts and aspect ratios beyond limits.h, before anything is allocated.
void check_image_size(const std::string& path, std::int64_t w, std::int64_t h);

ImageInfo probe_jpeg(std::span<const std::uint8_t> bytes, const std::string& path, bool complete);
void decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& path, Image& out);

ImageInfo probe_png(std::span<const std::uint8_t> bytes, const std::string& path, bool complete);
void decode_png(std::span<const std::uint8_t> bytes, const std::string& path, Image& out);

/// What a walk over a JPEG's markers finds; every read is bounded, damage just ends the walk.
struct JpegMarkers {
  int orientation = 1;      ///< EXIF tag 0x0112, 1..8
  bool arithmetic = false;  ///< arithmetic coding (may be shorter than a bit a block)
};
JpegMarkers scan_jpeg_markers(std::span<const std::uint8_t> bytes);

/// Turns the picture upright: `orientation` as in EXIF, 1..8; 1 leaves it alone.
void apply_orientation(Image& image, int orientation);

}  // namespace daybreak::detail
