#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace daybreak {

/// A picture somebody else owns: u8, rows dense, channels interleaved (RGB or grey).
struct PictureView {
  const std::uint8_t* pixels = nullptr;  // [h, w, c]
  int w = 0, h = 0, c = 0;

  std::int64_t bytes() const { return static_cast<std::int64_t>(w) * h * c; }
};

/// A decoded picture: u8, [h, w, c], c = 1 (grey) or 3 (RGB).
struct Image {
  int w = 0, h = 0, c = 0;
  std::vector<std::uint8_t> hwc;

  /// Sets the size; the pixels are unspecified afterwards, memory is reused.
  void reshape(int width, int height, int channels);
  PictureView view() const { return {hwc.data(), w, h, c}; }
};

enum class ImageKind : std::uint8_t { unknown, jpeg, png };

/// What a picture's header says; width and height after its EXIF orientation, c = 1 or 3.
struct ImageInfo {
  ImageKind kind = ImageKind::unknown;
  int w = 0, h = 0, c = 0;
};

/// The kind by its first bytes, never by a file's name.
ImageKind detect_image(std::span<const std::uint8_t> bytes);

/// Reads a picture's header only, with all checks that need no pixels. `complete` says that `bytes`
/// is the whole file, so that its length can be checked as well.
ImageInfo probe_image(std::span<const std::uint8_t> bytes, const std::string& path,
                      bool complete = true);

/// Decodes a JPEG or PNG, turned upright by its EXIF orientation. `want_channels`: 0 as stored
/// (1 or 3), 1 grey, 3 RGB. Throws DataError naming `path` when anything is wrong with the file;
/// a picture that is cut short is never accepted.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& path,
                   int want_channels = 0);
/// The same into `out`, whose memory is reused.
void decode_image(std::span<const std::uint8_t> bytes, const std::string& path, int want_channels,
                  Image& out);
/// Reads and decodes a file.
Image load_image(const std::string& path, int want_channels = 0);

/// Grey to RGB by repetition, RGB to grey by (19595 r + 38470 g + 7471 b) / 65536 (ITU-R BT.601).
void convert_channels(Image& image, int want_channels);
/// The same from a view into a buffer of w * h * want_channels bytes.
void convert_channels(const PictureView& picture, int want_channels, std::uint8_t* out);

/// Encodes 1 or 3 channels as PNG.
std::vector<std::uint8_t> encode_png(const PictureView& picture);

}  // namespace daybreak
