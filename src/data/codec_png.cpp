#include <fmt/format.h>
#include <png.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "data/bytes.h"
#include "data/codecs.h"
#include "data/limits.h"

namespace daybreak::detail {
namespace {

constexpr std::size_t kHeaderBytes = 33;  // signature 8, IHDR 25

struct Header {
  std::uint32_t w = 0, h = 0;
  int depth = 0, colour_type = 0;
};

// PNG specification 11.2.2: IHDR is the first chunk. libpng checks everything else.
Header read_header(std::span<const std::uint8_t> bytes, const std::string& path, bool complete) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data() + 12, "IHDR", 4) != 0) {
    throw DataError(path,
                    fmt::format("PNG ends too early or lacks its header: {} bytes", bytes.size()));
  }
  const Header header{big_endian32(bytes.data() + 16), big_endian32(bytes.data() + 20), bytes[24],
                      bytes[25]};
  check_image_size(path, header.w, header.h);
  const std::uint64_t samples = header.colour_type == PNG_COLOR_TYPE_RGB          ? 3
                                : header.colour_type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                                : header.colour_type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                                                  : 1;
  // At most 64 bits a pixel and 65,535 pixels a side: no overflow.
  const std::uint64_t row_bytes =
      (header.w * samples * static_cast<unsigned>(header.depth) + 7) / 8;
  if (complete && row_bytes * header.h / limits::kMaxDeflateRatio > bytes.size()) {
    throw DataError(path, fmt::format("PNG ends too early: {} bytes for {} x {}", bytes.size(),
                                      header.w, header.h));
  }
  return header;
}

bool has_colour(const Header& header) {
  return (header.colour_type & PNG_COLOR_MASK_COLOR) != 0;
}

// Frees what libpng holds when an exception passes.
struct PngImage {
  png_image image{};
  PngImage() { image.version = PNG_IMAGE_VERSION; }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&image); }
  bool failed() const { return (image.warning_or_error & PNG_IMAGE_ERROR) != 0; }
};

void drop_alpha(const std::vector<std::uint8_t>& with_alpha, int channels, Image& out) {
  static std::atomic<bool> said{false};
  if (!said.exchange(true)) spdlog::info("data: the alpha channel of PNG pictures is dropped");
  const std::size_t pixels = out.hwc.size() / static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i < pixels; ++i) {
    std::memcpy(out.hwc.data() + i * channels, with_alpha.data() + i * (channels + 1),
                static_cast<std::size_t>(channels));
  }
}

}  // namespace

ImageInfo probe_png(std::span<const std::uint8_t> bytes, const std::string& path, bool complete) {
  const Header header = read_header(bytes, path, complete);
  return {ImageKind::png, static_cast<int>(header.w), static_cast<int>(header.h),
          has_colour(header) ? 3 : 1};
}

void decode_png(std::span<const std::uint8_t> bytes, const std::string& path, Image& out) {
  const Header header = read_header(bytes, path, /*complete=*/true);
  PngImage png;
  const auto check = [&](int ok) {
    if (ok != 0 && !png.failed()) return;
    throw DataError(path, fmt::format("corrupt PNG ({} bytes, {} x {}): {}", bytes.size(), header.w,
                                      header.h, printable(png.image.message)));
  };
  check(png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()));
  if (png.image.width != header.w || png.image.height != header.h) {
    throw DataError(path, "corrupt PNG: two headers that differ");
  }
  png.image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // 16 bit without a gamma chunk is not linear light
  const bool alpha = (png.image.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  const int channels = has_colour(header) ? 3 : 1;
  png.image.format = static_cast<png_uint_32>((channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY) |
                                              (alpha ? PNG_FORMAT_FLAG_ALPHA : 0));
  out.reshape(static_cast<int>(header.w), static_cast<int>(header.h), channels);
  std::vector<std::uint8_t> with_alpha;
  if (alpha) with_alpha.resize(PNG_IMAGE_SIZE(png.image));
  check(png_image_finish_read(&png.image, nullptr, alpha ? with_alpha.data() : out.hwc.data(),
                              /*row_stride=*/0, nullptr));
  if (alpha) drop_alpha(with_alpha, channels, out);
}

}  // namespace daybreak::detail

namespace daybreak {

std::vector<std::uint8_t> encode_png(const PictureView& picture) {
  DAYBREAK_ASSERT(picture.c == 1 || picture.c == 3);
  DAYBREAK_ASSERT(picture.w > 0 && picture.h > 0);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.w);
  image.height = static_cast<png_uint_32>(picture.h);
  image.format = picture.c == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::uint8_t> bytes(size);
  if (png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0, picture.pixels,
                                /*row_stride=*/0, nullptr) == 0) {
    throw DeviceError(fmt::format("cannot encode a PNG: {}", image.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace daybreak
