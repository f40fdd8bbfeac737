#include <cstring>

#include "data/codecs.h"

namespace daybreak::detail {
namespace {

// Reads numbers of either byte order from a TIFF block; out of range reads give 0.
class TiffReader {
 public:
  explicit TiffReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    if (bytes.size() < 8) return;
    big_ = bytes[0] == 'M' && bytes[1] == 'M';
    valid_ = (big_ || (bytes[0] == 'I' && bytes[1] == 'I')) && u16(2) == 42;
  }
  bool valid() const { return valid_; }
  std::uint32_t u16(std::uint64_t at) const {
    if (at + 2 > bytes_.size()) return 0;
    const std::uint32_t first = bytes_[at];
    const std::uint32_t second = bytes_[at + 1];
    return big_ ? first << 8 | second : second << 8 | first;
  }
  std::uint32_t u32(std::uint64_t at) const {
    return big_ ? u16(at) << 16 | u16(at + 2) : u16(at + 2) << 16 | u16(at);
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool big_ = false;
  bool valid_ = false;
};

// EXIF 2.3, section 4.6.4: tag 0x0112 of the first directory, type 3 (SHORT), one value.
int orientation_of(std::span<const std::uint8_t> tiff) {
  constexpr std::uint32_t kOrientation = 0x0112;
  const TiffReader reader(tiff);
  if (!reader.valid()) return 1;
  const std::uint64_t directory = reader.u32(4);
  const std::uint32_t entries = reader.u16(directory);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + std::uint64_t{12} * i;
    if (entry + 12 > tiff.size()) break;
    if (reader.u16(entry) != kOrientation) continue;
    const std::uint32_t value = reader.u16(entry + 8);
    const bool well_formed = reader.u16(entry + 2) == 3 && reader.u32(entry + 4) == 1;
    return well_formed && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

JpegMarkers scan_jpeg_markers(std::span<const std::uint8_t> bytes) {
  constexpr char kExif[6] = {'E', 'x', 'i', 'f', 0, 0};
  JpegMarkers result;
  bool exif_seen = false;
  std::size_t at = 2;  // after the start marker ff d8
  while (at + 4 <= bytes.size()) {
    if (bytes[at] != 0xff) break;
    const std::uint8_t marker = bytes[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) break;  // pixels, or the end
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2;
      continue;
    }
    const std::size_t length = static_cast<std::size_t>(bytes[at + 2]) << 8 | bytes[at + 3];
    if (length < 2 || at + 2 + length > bytes.size()) break;
    const auto body = bytes.subspan(at + 4, length - 2);
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) {  // what follows is not looked at: a probe of a file's start must find the same
      result.arithmetic = marker >= 0xc9;
      break;
    }
    if (marker == 0xe1 && !exif_seen && body.size() > sizeof(kExif) &&
        std::memcmp(body.data(), kExif, sizeof(kExif)) == 0) {
      exif_seen = true;
      result.orientation = orientation_of(body.subspan(sizeof(kExif)));
    }
    at += 2 + length;
  }
  return result;
}

void apply_orientation(Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return;
  const int w = image.w;
  const int h = image.h;
  const bool swap = orientation >= 5;
  Image out;
  out.reshape(swap ? h : w, swap ? w : h, image.c);
  for (int y = 0; y < out.h; ++y) {
    for (int x = 0; x < out.w; ++x) {
      int sx = swap ? y : x;
      int sy = swap ? x : y;
      // 2: mirrored; 3: half turn; 4: upside down; 5: transposed; 6: needs a quarter turn
      // clockwise; 7: transposed over the other diagonal; 8: needs a quarter turn anticlockwise.
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        sy = h - 1 - sy;
      const std::uint8_t* from =
          image.hwc.data() + (static_cast<std::size_t>(sy) * w + sx) * image.c;
      std::uint8_t* to = out.hwc.data() + (static_cast<std::size_t>(y) * out.w + x) * image.c;
      std::memcpy(to, from, static_cast<std::size_t>(image.c));
    }
  }
  image = std::move(out);
}

}  // namespace daybreak::detail
