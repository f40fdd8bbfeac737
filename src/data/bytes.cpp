#include "data/bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/error.h"

namespace daybreak {
namespace {

class FileHandle {
 public:
  explicit FileHandle(const std::string& path) : path_(path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    do {
      fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) fail(fmt::format("cannot open: {}", errno_text(errno)));
    struct stat info {};
    if (::fstat(fd_, &info) != 0) {
      const int error_number = errno;
      ::close(fd_);
      fail(fmt::format("cannot stat: {}", errno_text(error_number)));
    }
    if (!S_ISREG(info.st_mode)) {
      ::close(fd_);
      fail(S_ISDIR(info.st_mode) ? "is a folder, expected a file" : "not a regular file");
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle() { ::close(fd_); }

  std::uint64_t size() const { return size_; }

  /// Fills out with up to `count` bytes; less when the file is shorter than its stat said.
  void read(std::size_t count, std::vector<std::uint8_t>& out) const {
    out.resize(count);
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got = ::read(fd_, out.data() + done, count - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(fmt::format("cannot read: {}", errno_text(errno)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    out.resize(done);
  }

 private:
  [[noreturn]] void fail(const std::string& text) const { throw DataError(printable(path_), text); }

  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

std::string guess_kind(std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  while (i < bytes.size() && i < 64 && (bytes[i] == ' ' || bytes[i] == '\n' || bytes[i] == '\r'))
    ++i;
  const auto rest = bytes.subspan(i);
  if (starts_with(rest, "<!") || starts_with(rest, "<h") || starts_with(rest, "<H")) {
    return "an HTML page?";
  }
  if (starts_with(rest, "<?xml")) return "an XML file?";
  if (starts_with(bytes, "version https://git-lfs")) return "a git LFS pointer?";
  if (starts_with(bytes, "\x1f\x8b")) return "a gzip file";
  if (starts_with(bytes, "PK\x03\x04")) return "a zip file";
  if (starts_with(bytes,
                  "\xfd"
                  "7zXZ"))
    return "an xz file";
  if (starts_with(bytes, "BZh")) return "a bzip2 file";
  if (starts_with(bytes, "\x89PNG")) return "a PNG picture";
  if (starts_with(bytes, "\xff\xd8\xff")) return "a JPEG picture";
  if (starts_with(bytes, "GIF8")) return "a GIF picture";
  if (starts_with(bytes, "RIFF")) return "a RIFF file, WebP?";
  if (starts_with(bytes, "BM")) return "a BMP picture?";
  if (starts_with(bytes, "{") || starts_with(bytes, "[")) return "a JSON file?";
  return "";
}

std::uint64_t number_in_file(const char* path) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t value = 0;
  if (!(file >> word)) return 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size() ? value : 0;
}

std::uint64_t meminfo_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::string value;
  std::string line;
  while (file >> key >> value) {
    std::getline(file, line);
    if (key != "MemAvailable:") continue;
    std::uint64_t kib = 0;
    std::from_chars(value.data(), value.data() + value.size(), kib);
    return kib * 1024;
  }
  return 0;
}

}  // namespace

void read_file(const std::string& path, std::uint64_t max_bytes, std::vector<std::uint8_t>& out) {
  const FileHandle file(path);
  if (file.size() > max_bytes) {
    throw DataError(printable(path), fmt::format("{} bytes, more than the {} bytes accepted here",
                                                 file.size(), max_bytes));
  }
  file.read(static_cast<std::size_t>(file.size()), out);
}

std::uint64_t read_file_start(const std::string& path, std::size_t count,
                              std::vector<std::uint8_t>& out) {
  const FileHandle file(path);
  file.read(static_cast<std::size_t>(std::min<std::uint64_t>(count, file.size())), out);
  return file.size();
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char ch : text) {
    const auto byte = static_cast<unsigned char>(ch);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += ch;
    }
  }
  return result;
}

std::string describe_start(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return "is empty (0 bytes)";
  std::string text = "starts with";
  for (std::size_t i = 0; i < std::min<std::size_t>(4, bytes.size()); ++i) {
    text += fmt::format(" {:02x}", bytes[i]);
  }
  if (const std::string kind = guess_kind(bytes); !kind.empty()) text += fmt::format(" ({})", kind);
  return text;
}

std::uint64_t available_memory() {
  std::uint64_t bytes = meminfo_available();
  if (bytes == 0) bytes = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t limit = number_in_file("/sys/fs/cgroup/memory.max");
  if (limit > 0) {
    const std::uint64_t used = number_in_file("/sys/fs/cgroup/memory.current");
    bytes = std::min(bytes, limit > used ? limit - used : 0);
  }
  return bytes;
}

}  // namespace daybreak
