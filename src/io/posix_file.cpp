#include "io/posix_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "core/text.h"

namespace daybreak {
namespace {

const char* kind_of(unsigned mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  close();
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

int FileDescriptor::close() {
  if (fd_ < 0) return 0;
  const int result = ::close(std::exchange(fd_, -1));
  return result == 0 || errno == EINTR ? 0 : errno;
}

int open_retrying(const std::string& path, int flags, unsigned mode) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

FileDescriptor open_regular_file(const std::string& path, std::uint64_t* size) {
  // Without O_NONBLOCK opening a pipe would wait for a writer for ever.
  FileDescriptor fd(open_retrying(path, O_RDONLY | O_NONBLOCK));
  if (!fd.open()) throw DataError(path, fmt::format("cannot open: {}", errno_text(errno)));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    throw DataError(path, fmt::format("cannot examine: {}", errno_text(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    throw DataError(path, fmt::format("is {}, expected a regular file", kind_of(info.st_mode)));
  }
  *size = static_cast<std::uint64_t>(info.st_size);
  return fd;
}

FileBytes read_whole_file(const std::string& path, std::uint64_t max_bytes) {
  std::uint64_t size = 0;
  const FileDescriptor fd = open_regular_file(path, &size);
  if (size > max_bytes) {
    throw DataError(path, fmt::format("has {}, expected at most {}", format_bytes(size),
                                      format_bytes(max_bytes)));
  }
  FileBytes bytes{std::make_unique_for_overwrite<std::byte[]>(size), size};
  const std::int64_t count = read_fully(fd.get(), {bytes.data.get(), bytes.size});
  if (count < 0) throw DataError(path, fmt::format("cannot read: {}", errno_text(errno)));
  if (static_cast<std::uint64_t>(count) != size) {
    throw DataError(path,
                    fmt::format("became shorter while it was read: {} of {} bytes", count, size));
  }
  return bytes;
}

std::int64_t read_fully(int fd, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    // Linux transfers at most 2 GiB - 4 KiB a call.
    const std::size_t wanted = std::min(into.size() - done, std::size_t{1} << 30);
    const ssize_t count = ::read(fd, into.data() + done, wanted);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return static_cast<std::int64_t>(done);
}

int write_fully(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;  // a regular file never does this; do not spin
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

void sync_folder(const std::string& path) {
  FileDescriptor fd(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (!fd.open()) throw_file_error(path, "open the folder", errno);
  // EINVAL: this file system cannot synchronise folders, and says so; nothing more can be done.
  if (::fsync(fd.get()) != 0 && errno != EINVAL)
    throw_file_error(path, "synchronise the folder", errno);
  const int error_number = fd.close();
  if (error_number != 0) throw_file_error(path, "close the folder", error_number);
}

std::uint64_t free_bytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

void throw_file_error(const std::string& path, const std::string& action, int error_number) {
  throw DeviceError(
      fmt::format("{}: error: cannot {}: {}", path, action, errno_text(error_number)));
}

}  // namespace daybreak
