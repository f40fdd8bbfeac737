#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace daybreak {

/// Owns a POSIX file descriptor. The destructor closes without a check: writers call close().
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  /// Closes now; 0 or the errno value. EINTR counts as closed, as Linux has released the number.
  int close();

 private:
  int fd_ = -1;
};

/// The bytes of a file, left uninitialised until read. Owns them.
struct FileBytes {
  std::unique_ptr<std::byte[]> data;
  std::size_t size = 0;

  std::span<const std::byte> span() const { return {data.get(), size}; }
};

/// open(2) with O_CLOEXEC that goes on after EINTR; -1 and errno on failure.
int open_retrying(const std::string& path, int flags, unsigned mode = 0);

/// Opens a regular file for reading and gives its size. A missing or unreadable file, a folder, a
/// pipe or a device is a DataError that says so; a pipe never blocks.
FileDescriptor open_regular_file(const std::string& path, std::uint64_t* size);

/// The whole of a regular file of at most `max_bytes`; DataError otherwise.
FileBytes read_whole_file(const std::string& path, std::uint64_t max_bytes = UINT64_MAX);

/// read(2) until `into` is full or the file ends; returns the bytes read, or -1 and errno.
std::int64_t read_fully(int fd, std::span<std::byte> into);

/// write(2) of everything, over short writes and EINTR; 0 or the errno value.
int write_fully(int fd, std::span<const std::byte> bytes);

/// fsync of the folder `path`, which makes renames inside it durable. Throws DeviceError.
void sync_folder(const std::string& path);

/// Bytes an ordinary user can still write to the file system that holds `path`; UINT64_MAX when
/// the system does not say.
std::uint64_t free_bytes(const std::string& path);

/// Throws DeviceError "PATH: error: cannot ACTION: TEXT OF ERRNO".
[[noreturn]] void throw_file_error(const std::string& path, const std::string& action,
                                   int error_number);

}  // namespace daybreak
