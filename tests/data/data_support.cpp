#include "data/data_support.h"

#include <fmt/format.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>

namespace daybreak::test {

void write_file(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

Image noise_image(int w, int h, int c, std::uint64_t key) {
  Image image;
  image.reshape(w, h, c);
  Draws draws(99, Purpose::synthetic, key, 0);
  for (auto& byte : image.hwc) byte = static_cast<std::uint8_t>(draws.below(256));
  return image;
}

Image flat_image(int w, int h, std::vector<std::uint8_t> colour) {
  Image image;
  image.reshape(w, h, static_cast<int>(colour.size()));
  for (std::size_t i = 0; i < image.hwc.size(); ++i) image.hwc[i] = colour[i % colour.size()];
  return image;
}

namespace {

Bytes compress(const std::uint8_t* pixels, int w, int h, int format, int subsampling, int quality) {
  tjhandle handle = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const int status =
      tjCompress2(handle, pixels, w, 0, h, format, &out, &size, subsampling, quality, 0);
  Bytes bytes(out, out + size);
  tjFree(out);
  tjDestroy(handle);
  if (status != 0) throw std::runtime_error("cannot encode a JPEG");
  return bytes;
}

}  // namespace

Bytes jpeg_of(const Image& image, int quality) {
  const bool grey = image.c == 1;
  return compress(image.hwc.data(), image.w, image.h, grey ? TJPF_GRAY : TJPF_RGB,
                  grey ? TJSAMP_GRAY : TJSAMP_444, quality);
}

Bytes cmyk_jpeg(int w, int h, std::vector<std::uint8_t> inks) {
  Bytes pixels;
  for (int i = 0; i < w * h; ++i) pixels.insert(pixels.end(), inks.begin(), inks.end());
  return compress(pixels.data(), w, h, TJPF_CMYK, TJSAMP_444, 100);
}

Bytes with_orientation(const Bytes& jpeg, int orientation, bool big_endian) {
  const auto value = static_cast<std::uint8_t>(orientation);
  Bytes tiff;
  if (big_endian) {
    tiff = {'M', 'M', 0, 42, 0, 0, 0,     8, 0, 1, 0x01, 0x12, 0,
            3,   0,   0, 0,  1, 0, value, 0, 0, 0, 0,    0,    0};
  } else {
    tiff = {'I', 'I', 42, 0, 8, 0,     0, 0, 1, 0, 0x12, 0x01, 3,
            0,   1,   0,  0, 0, value, 0, 0, 0, 0, 0,    0,    0};
  }
  Bytes segment = {0xff, 0xe1, 0, static_cast<std::uint8_t>(2 + 6 + tiff.size()), 'E', 'x', 'i',
                   'f',  0,    0};
  segment.insert(segment.end(), tiff.begin(), tiff.end());
  Bytes result = jpeg;
  result.insert(result.begin() + 2, segment.begin(), segment.end());
  return result;
}

Bytes gzip_of(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("cannot gzip");
  return out;
}

Bytes idx_of(const std::vector<std::uint32_t>& dims, const Bytes& data) {
  Bytes bytes = {0, 0, 8, static_cast<std::uint8_t>(dims.size())};
  for (const std::uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::uint8_t>(dim >> shift));
  }
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

std::string data_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no DataError was thrown";
  return "";
}

DataSpec spec_for(DataFormat format, const std::string& dir) {
  DataSpec spec;
  spec.name = "sample";
  SourceSpec source;
  source.format = format;
  source.dir = dir;
  spec.sources.push_back(source);
  return spec;
}

InputSpec input_of(int w, int h, int c) {
  InputSpec input;
  input.width = w;
  input.height = h;
  input.channels = c;
  return input;
}

void write_folder(const std::string& root, const std::string& part, int classes, int per_class,
                  int w, int h) {
  for (int label = 0; label < classes; ++label) {
    for (int i = 0; i < per_class; ++i) {
      const Image image = noise_image(w, h, 3, static_cast<std::uint64_t>(label * 1000 + i));
      write_file(fmt::format("{}/{}/class{}/{:03}.png", root, part, label, i),
                 encode_png(image.view()));
    }
  }
}

}  // namespace daybreak::test
