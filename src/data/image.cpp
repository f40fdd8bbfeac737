#include "data/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "data/bytes.h"
#include "data/codecs.h"
#include "data/limits.h"

namespace daybreak {

namespace detail {

void check_image_size(const std::string& path, std::int64_t w, std::int64_t h) {
  if (w < 1 || h < 1) {
    throw DataError(path,
                    fmt::format("the header says {} x {} pixels, expected at least 1 x 1", w, h));
  }
  if (w > limits::kMaxImageSide || h > limits::kMaxImageSide) {
    throw DataError(
        path, fmt::format("the header says {} x {} pixels, at most {} a side are accepted", w, h,
                          limits::kMaxImageSide));
  }
  if (w * h > limits::kMaxImagePixels) {
    throw DataError(
        path, fmt::format("the header says {} x {} = {} pixels, at most {} are accepted", w, h,
                          w * h, limits::kMaxImagePixels));
  }
  if (std::max(w, h) > limits::kMaxImageAspect * std::min(w, h)) {
    throw DataError(path, fmt::format("the header says {} x {} pixels, at most {} : 1 is accepted",
                                      w, h, limits::kMaxImageAspect));
  }
}

}  // namespace detail

void Image::reshape(int width, int height, int channels) {
  w = width;
  h = height;
  c = channels;
  hwc.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
             static_cast<std::size_t>(channels));
}

ImageKind detect_image(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t kPng[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) {
    return ImageKind::jpeg;
  }
  if (bytes.size() >= sizeof(kPng) && std::memcmp(bytes.data(), kPng, sizeof(kPng)) == 0) {
    return ImageKind::png;
  }
  return ImageKind::unknown;
}

namespace {

[[noreturn]] void refuse_unknown(std::span<const std::uint8_t> bytes, const std::string& path) {
  throw DataError(path,
                  fmt::format("not a picture: {}, expected ff d8 ff (JPEG) or 89 50 4e 47 (PNG)",
                              describe_start(bytes)));
}

}  // namespace

ImageInfo probe_image(std::span<const std::uint8_t> bytes, const std::string& path, bool complete) {
  const std::string shown = printable(path);
  switch (detect_image(bytes)) {
    case ImageKind::jpeg:
      return detail::probe_jpeg(bytes, shown, complete);
    case ImageKind::png:
      return detail::probe_png(bytes, shown, complete);
    case ImageKind::unknown:
      break;
  }
  refuse_unknown(bytes, shown);
}

void decode_image(std::span<const std::uint8_t> bytes, const std::string& path, int want_channels,
                  Image& out) {
  DAYBREAK_ASSERT(want_channels == 0 || want_channels == 1 || want_channels == 3);
  const std::string shown = printable(path);
  switch (detect_image(bytes)) {
    case ImageKind::jpeg:
      detail::decode_jpeg(bytes, shown, out);
      break;
    case ImageKind::png:
      detail::decode_png(bytes, shown, out);
      break;
    case ImageKind::unknown:
      refuse_unknown(bytes, shown);
  }
  if (want_channels != 0) convert_channels(out, want_channels);
}

Image decode_image(std::span<const std::uint8_t> bytes, const std::string& path,
                   int want_channels) {
  Image image;
  decode_image(bytes, path, want_channels, image);
  return image;
}

Image load_image(const std::string& path, int want_channels) {
  std::vector<std::uint8_t> bytes;
  read_file(path, limits::kMaxImageFileBytes, bytes);
  return decode_image(bytes, path, want_channels);
}

void convert_channels(const PictureView& picture, int want_channels, std::uint8_t* out) {
  const std::int64_t pixels = static_cast<std::int64_t>(picture.w) * picture.h;
  const std::uint8_t* in = picture.pixels;
  if (picture.c == want_channels) {
    std::memcpy(out, in, static_cast<std::size_t>(picture.bytes()));
  } else if (picture.c == 1 && want_channels == 3) {
    for (std::int64_t i = 0; i < pixels; ++i) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = in[i];
  } else {
    DAYBREAK_ASSERT(picture.c == 3 && want_channels == 1);
    for (std::int64_t i = 0; i < pixels; ++i) {
      const std::uint32_t sum =
          19595u * in[3 * i] + 38470u * in[3 * i + 1] + 7471u * in[3 * i + 2] + 32768u;
      out[i] = static_cast<std::uint8_t>(sum >> 16);
    }
  }
}

void convert_channels(Image& image, int want_channels) {
  if (image.c == want_channels) return;
  std::vector<std::uint8_t> converted(static_cast<std::size_t>(image.w) * image.h * want_channels);
  convert_channels(image.view(), want_channels, converted.data());
  image.hwc = std::move(converted);
  image.c = want_channels;
}

}  // namespace daybreak
