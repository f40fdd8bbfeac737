#pragma once

#include <cstddef>
#include <cstdint>

// Every limit the readers of this folder apply to numbers found in files, in one place.

namespace daybreak::limits {

constexpr int kMaxImageSide = 65535;                   ///< pixels
constexpr std::int64_t kMaxImagePixels = 100'000'000;  ///< width * height
constexpr int kMaxImageAspect = 10'000;                ///< longer side : shorter side
constexpr std::uint64_t kMaxImageFileBytes = std::uint64_t{512} << 20;
constexpr std::uint64_t kMaxSetFileBytes = std::uint64_t{16} << 30;  ///< one IDX or CIFAR file
constexpr std::int64_t kMaxSamples = std::int64_t{1} << 31;          ///< pictures in one part
constexpr int kMaxClasses = 65536;
constexpr int kMaxIdxSide = 65535;
constexpr std::size_t kMaxBoxes = 4096;                                ///< in one picture
constexpr std::uint64_t kMaxLabelFileBytes = std::uint64_t{4} << 20;   ///< one picture's boxes
constexpr std::uint64_t kMaxListFileBytes = std::uint64_t{256} << 20;  ///< a list of pictures
constexpr std::uint64_t kMaxJsonFileBytes = std::uint64_t{4} << 30;    ///< COCO annotations
constexpr int kMaxJsonDepth = 64;

/// Deflate cannot expand a byte to more than 1032 (RFC 1951: 258 bytes from 2 bits).
constexpr std::uint64_t kMaxDeflateRatio = 1032;
/// Huffman-coded JPEG needs at least one bit for each 8 x 8 block of the brightness: 512 pixels a
/// byte.
constexpr std::uint64_t kMaxJpegPixelsPerByte = 512;

/// OpenCV's warps and remaps take sides below 32,767.
constexpr int kMaxWarpSide = 32'000;

}  // namespace daybreak::limits
