#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/checked_size.h"
#include "core/error.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"

namespace daybreak {
namespace {

constexpr std::size_t kMaxHeader = 16;

struct Header {
  std::vector<std::uint32_t> dims;
  std::size_t bytes = 0;      // of the header
  std::uint64_t payload = 0;  // bytes that must follow
};

// http://yann.lecun.com/exdb/mnist: 0, 0, type (8 = unsigned byte), number of dimensions, then the
// dimensions as big-endian 32-bit numbers.
Header read_header(std::span<const std::uint8_t> bytes, const std::string& path) {
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) {
    throw DataError(path, fmt::format("not an IDX file: {}, expected 00 00 08 03 or gzip",
                                      describe_start(bytes)));
  }
  if (bytes[2] != 0x08 || (bytes[3] != 1 && bytes[3] != 3)) {
    throw DataError(
        path, 2,
        fmt::format("IDX type 0x{:02x} with {} dimensions, expected unsigned bytes (0x08) "
                    "with 1 or 3 dimensions",
                    bytes[2], bytes[3]));
  }
  Header header;
  header.bytes = 4 + std::size_t{4} * bytes[3];
  if (bytes.size() < header.bytes) {
    throw DataError(path, fmt::format("ends inside its header: {} bytes, expected at least {}",
                                      bytes.size(), header.bytes));
  }
  header.payload = 1;
  for (std::size_t i = 0; i < bytes[3]; ++i) {
    const std::uint32_t dim = big_endian32(bytes.data() + 4 + 4 * i);
    const std::int64_t most = i == 0 ? limits::kMaxSamples : limits::kMaxIdxSide;
    if (dim < 1 || dim > most) {
      throw DataError(path, 4 + 4 * i,
                      fmt::format("dimension {} is {}, expected 1..{}", i + 1, dim, most));
    }
    header.dims.push_back(dim);
    const CheckedSize product = CheckedSize(header.payload) * dim;
    if (!product.fits(limits::kMaxSetFileBytes)) {
      throw DataError(
          path, 4,
          fmt::format("the dimensions ask for more than {} bytes", limits::kMaxSetFileBytes));
    }
    header.payload = *product.value();
  }
  return header;
}

std::string shape_text(const Header& header) {
  return fmt::format("{}", fmt::join(header.dims, " x "));
}

// Owns zlib's state.
class Inflater {
 public:
  Inflater(std::span<const std::uint8_t> bytes, const std::string& path)
      : path_(path), rest_(bytes) {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) {
      throw DeviceError("cannot start to unpack: out of memory");
    }
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  /// Writes up to `room` bytes; fewer only at the end of the stream.
  std::size_t read(std::uint8_t* to, std::size_t room) {
    std::size_t done = 0;
    while (done < room && !ended_) {
      refill();
      const std::size_t chunk = std::min<std::size_t>(room - done, std::size_t{1} << 30);
      stream_.next_out = to + done;
      stream_.avail_out = static_cast<uInt>(chunk);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t got = chunk - stream_.avail_out;
      done += got;
      if (status == Z_STREAM_END) {
        ended_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw DataError(path_, fmt::format("corrupt gzip data: {}",
                                           stream_.msg != nullptr ? stream_.msg : zError(status)));
      } else if (got == 0 && stream_.avail_in == 0 && rest_.empty()) {
        throw DataError(path_, fmt::format("gzip data ends too early, after {} unpacked bytes: the "
                                           "download seems cut short",
                                           stream_.total_out));
      }
    }
    return done;
  }
  bool ended() const { return ended_; }
  std::size_t unread() const { return rest_.size() + stream_.avail_in; }

 private:
  void refill() {  // avail_in is 32 bits
    if (stream_.avail_in > 0 || rest_.empty()) return;
    const std::size_t chunk = std::min<std::size_t>(rest_.size(), std::size_t{1} << 30);
    stream_.next_in = const_cast<Bytef*>(rest_.data());
    stream_.avail_in = static_cast<uInt>(chunk);
    rest_ = rest_.subspan(chunk);
  }

  std::string path_;
  std::span<const std::uint8_t> rest_;
  z_stream stream_{};
  bool ended_ = false;
};

IdxArray read_gzip_idx(std::span<const std::uint8_t> bytes, const std::string& path) {
  Inflater inflater(bytes, path);
  std::uint8_t start[kMaxHeader];
  std::size_t have = inflater.read(start, 4);
  if (have == 4 && (start[3] == 1 || start[3] == 3))
    have += inflater.read(start + 4, 4u * start[3]);
  const Header header = read_header({start, have}, path);
  const std::uint64_t possible = bytes.size() * limits::kMaxDeflateRatio;
  if (header.payload > possible) {
    throw DataError(path, fmt::format("{} bytes of gzip data cannot hold {} = {} bytes",
                                      bytes.size(), shape_text(header), header.payload));
  }
  // Memory grows with what really comes out of the file.
  IdxArray array{header.dims, {}};
  std::size_t step = std::min<std::uint64_t>(header.payload, std::uint64_t{64} << 20);
  while (array.data.size() < header.payload) {
    const std::size_t before = array.data.size();
    array.data.resize(before + std::min<std::uint64_t>(step, header.payload - before));
    const std::size_t got = inflater.read(array.data.data() + before, array.data.size() - before);
    if (before + got < array.data.size()) {
      throw DataError(path, fmt::format("{} bytes of data after the header, expected {} = {} bytes",
                                        before + got, shape_text(header), header.payload));
    }
    step = array.data.size();
  }
  std::uint8_t extra = 0;
  if (inflater.read(&extra, 1) != 0) {
    throw DataError(path, fmt::format("more than the {} = {} bytes of its header",
                                      shape_text(header), header.payload));
  }
  if (inflater.unread() != 0) {
    throw DataError(path, bytes.size() - inflater.unread(),
                    fmt::format("{} bytes after the end of the gzip data", inflater.unread()));
  }
  return array;
}

}  // namespace

IdxArray read_idx(std::span<const std::uint8_t> bytes, const std::string& path) {
  const std::string shown = printable(path);
  if (bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) return read_gzip_idx(bytes, shown);
  const Header header = read_header(bytes, shown);
  const std::uint64_t expected = header.bytes + header.payload;
  if (bytes.size() != expected) {
    throw DataError(shown,
                    fmt::format("{} bytes, expected {} ({} after a header of {}){}", bytes.size(),
                                expected, shape_text(header), header.bytes,
                                bytes.size() < expected ? ": the file seems cut short" : ""));
  }
  return {header.dims, {bytes.begin() + static_cast<std::ptrdiff_t>(header.bytes), bytes.end()}};
}

namespace {

std::string find_idx(const std::string& dir, const std::string& prefix, const std::string& kind,
                     int dims) {
  const std::string stems[2] = {fmt::format("{}-{}-idx{}-ubyte", prefix, kind, dims),
                                fmt::format("{}-{}.idx{}-ubyte", prefix, kind, dims)};
  for (const std::string& stem : stems) {
    for (const char* ending : {"", ".gz"}) {
      std::string path = dir + "/" + stem + ending;
      std::error_code error;
      if (std::filesystem::exists(path, error)) return path;
    }
  }
  throw DataError(printable(dir + "/" + stems[0] + ".gz"),
                  "no such file (nor without \".gz\"); the folder lacks a part of the data");
}

struct IdxPart {
  std::shared_ptr<PictureStore> store;
  std::string labels_path;
};

IdxPart open_part(const std::string& dir, const std::string& prefix) {
  const std::string images_path = find_idx(dir, prefix, "images", 3);
  const std::string labels_path = find_idx(dir, prefix, "labels", 1);
  std::vector<std::uint8_t> bytes;
  read_file(labels_path, limits::kMaxSetFileBytes, bytes);
  const IdxArray labels = read_idx(bytes, labels_path);
  read_file(images_path, limits::kMaxSetFileBytes, bytes);
  IdxArray images = read_idx(bytes, images_path);
  if (labels.dims.size() != 1) {
    throw DataError(printable(labels_path), "holds pictures (3 dimensions), expected labels (1)");
  }
  if (images.dims.size() != 3) {
    throw DataError(printable(images_path), "holds labels (1 dimension), expected pictures (3)");
  }
  if (images.dims[0] != labels.dims[0]) {
    throw DataError(printable(images_path),
                    fmt::format("{} pictures, but {} labels in \"{}\"", images.dims[0],
                                labels.dims[0], printable(labels_path)));
  }
  auto store = std::make_shared<PictureStore>();
  store->channels = 1;
  store->in_memory = true;
  store->height = static_cast<int>(images.dims[1]);
  store->width = static_cast<int>(images.dims[2]);
  store->pixels = std::move(images.data);
  store->labels.assign(labels.data.begin(), labels.data.end());
  store->ranges.push_back({0, std::filesystem::path(images_path).filename().string()});
  return {std::move(store), labels_path};
}

// Names from the descriptor, else numbers up to the largest training label.
std::vector<std::string> class_names(const DataSpec& spec, const PictureStore& train) {
  if (!spec.classes.empty()) return spec.classes;
  const int most = *std::max_element(train.labels.begin(), train.labels.end());
  std::vector<std::string> names;
  for (int i = 0; i <= most; ++i) names.push_back(std::to_string(i));
  return names;
}

void check_labels(const PictureStore& store, const std::string& labels_path) {
  const auto classes = static_cast<std::int32_t>(store.classes.size());
  constexpr std::uint64_t kLabelsStart = 8;  // of the unpacked file
  for (std::size_t i = 0; i < store.labels.size(); ++i) {
    if (store.labels[i] < classes) continue;
    throw DataError(printable(labels_path), kLabelsStart + i,
                    fmt::format("label {} of picture {} is out of range 0..{} ({} classes)",
                                store.labels[i], i, classes - 1, classes));
  }
}

}  // namespace

SourceParts open_idx(const SourceRequest& request) {
  IdxPart test = open_part(request.dir, "t10k");
  IdxPart train;
  // Without names the training labels say how many classes there are.
  if (request.options.need_train || request.spec.classes.empty()) {
    train = open_part(request.dir, "train");
  }
  const auto classes = class_names(request.spec, train.store ? *train.store : *test.store);
  for (const IdxPart* part : {&train, &test}) {
    if (!part->store) continue;
    part->store->classes = classes;
    check_labels(*part->store, part->labels_path);
    convert_store(*part->store, request.input.channels);
  }
  return {train.store, nullptr, test.store};
}

}  // namespace daybreak
