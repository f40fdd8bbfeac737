#include <fmt/format.h>
#include <turbojpeg.h>

#include <memory>
#include <string_view>

#include "core/error.h"
#include "data/codecs.h"
#include "data/limits.h"

namespace daybreak::detail {
namespace {

struct HandleDeleter {
  void operator()(void* handle) const { tjDestroy(handle); }
};

// A decompressor for one picture. Reusing it would let a picture's tables, or what an error left
// behind, decide how the next one is read; creating it takes less than a microsecond.
class Decompressor {
 public:
  Decompressor() : handle_(tjInitDecompress()) {
    if (!handle_) throw DeviceError("cannot create a JPEG decoder: out of memory");
  }
  void* get() const { return handle_.get(); }
  std::string_view error() const { return tjGetErrorStr2(handle_.get()); }

 private:
  std::unique_ptr<void, HandleDeleter> handle_;
};

struct Header {
  int w = 0, h = 0, subsampling = 0, colorspace = 0;
  JpegMarkers markers;
};

Header read_header(const Decompressor& decoder, std::span<const std::uint8_t> bytes,
                   const std::string& path, bool complete) {
  // A file cut before its frame header makes TurboJPEG return 0 without writing the sizes.
  Header header;
  const int status =
      tjDecompressHeader3(decoder.get(), bytes.data(), static_cast<unsigned long>(bytes.size()),
                          &header.w, &header.h, &header.subsampling, &header.colorspace);
  if (status != 0) {
    throw DataError(path, fmt::format("corrupt JPEG header: {}", decoder.error()));
  }
  if (header.w == 0 && header.h == 0) {
    throw DataError(
        path, fmt::format("JPEG ends too early: {} bytes, before its frame header", bytes.size()));
  }
  check_image_size(path, header.w, header.h);
  header.markers = scan_jpeg_markers(bytes);
  const auto pixels = static_cast<std::uint64_t>(header.w) * static_cast<std::uint64_t>(header.h);
  const std::uint64_t per_byte =
      limits::kMaxJpegPixelsPerByte * (header.markers.arithmetic ? 64 : 1);
  if (complete && pixels / per_byte > bytes.size()) {
    throw DataError(path, fmt::format("JPEG ends too early: {} bytes for {} x {}", bytes.size(),
                                      header.w, header.h));
  }
  return header;
}

// Adobe's convention, which other readers assume as well: inks are stored inverted, 255 = none.
void cmyk_to_rgb(const std::vector<std::uint8_t>& cmyk, Image& out) {
  const std::size_t pixels = cmyk.size() / 4;
  for (std::size_t i = 0; i < pixels; ++i) {
    const unsigned k = cmyk[4 * i + 3];
    for (std::size_t ch = 0; ch < 3; ++ch) {
      out.hwc[3 * i + ch] = static_cast<std::uint8_t>((cmyk[4 * i + ch] * k + 127) / 255);
    }
  }
}

}  // namespace

ImageInfo probe_jpeg(std::span<const std::uint8_t> bytes, const std::string& path, bool complete) {
  const Header header = read_header(Decompressor{}, bytes, path, complete);
  const bool swap = header.markers.orientation >= 5;
  return {ImageKind::jpeg, swap ? header.h : header.w, swap ? header.w : header.h,
          header.colorspace == TJCS_GRAY ? 1 : 3};
}

void decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& path, Image& out) {
  const Decompressor decoder;
  const Header header = read_header(decoder, bytes, path, /*complete=*/true);
  const bool grey = header.colorspace == TJCS_GRAY;
  const bool cmyk = header.colorspace == TJCS_CMYK || header.colorspace == TJCS_YCCK;
  out.reshape(header.w, header.h, grey ? 1 : 3);
  std::vector<std::uint8_t> inks;
  if (cmyk) inks.resize(static_cast<std::size_t>(header.w) * header.h * 4);
  const int format = grey ? TJPF_GRAY : cmyk ? TJPF_CMYK : TJPF_RGB;
  const int status =
      tjDecompress2(decoder.get(), bytes.data(), static_cast<unsigned long>(bytes.size()),
                    cmyk ? inks.data() : out.hwc.data(), header.w, /*pitch=*/0, header.h, format,
                    TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT);
  if (status != 0) {  // also for a warning: a cut file delivers grey pixels and a warning
    const std::string_view reason = decoder.error();
    if (reason.find("remature end") != std::string_view::npos) {
      throw DataError(path, fmt::format("JPEG ends too early: {} bytes for {} x {}", bytes.size(),
                                        header.w, header.h));
    }
    throw DataError(path, fmt::format("corrupt JPEG ({} bytes, {} x {}): {}", bytes.size(),
                                      header.w, header.h, reason));
  }
  if (cmyk) cmyk_to_rgb(inks, out);
  apply_orientation(out, header.markers.orientation);
}

}  // namespace daybreak::detail
