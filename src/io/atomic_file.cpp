#include "io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

// Attempts to find an unused temporary name. A name can only be taken by a crashed process that
// had the same pid, so a handful is plenty.
constexpr int kMaxAttempts = 100;

/// Calls make(name) with temporary names until it succeeds; returns the name. `make` gives 0 or
/// errno.
template <typename Make>
int with_temporary_name(const std::string& target, std::string* name, Make make) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    *name = temporary_name(target, attempt);
    const int error_number = make(*name);
    if (error_number != EEXIST) return error_number;
  }
  return EEXIST;
}

/// The file system cannot make this kind of link at all (FAT, some network mounts).
bool links_unsupported(int error_number) {
  return error_number == EPERM || error_number == EOPNOTSUPP || error_number == ENOSYS ||
         error_number == EMLINK || error_number == EXDEV;
}

void rename_into_place(const std::string& temporary, const std::string& target) {
  if (::rename(temporary.c_str(), target.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    throw_file_error(target, "rename the finished file to this name", error_number);
  }
  // rename() of two links to one file does nothing and leaves the temporary; else it is gone.
  ::unlink(temporary.c_str());
  sync_folder(folder_of(target));
}

}  // namespace

AtomicFile::AtomicFile(std::string target, std::uint64_t total_bytes)
    : target_(std::move(target)), folder_(folder_of(target_)), reserved_(total_bytes) {
  // A rename would put a file in the place of a device or pipe.
  struct stat status {};
  if (::stat(target_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw DeviceError(fmt::format("{}: error: {}, a regular file cannot take its place", target_,
                                  S_ISDIR(status.st_mode) ? "is a folder" : "is no regular file"));
  }
  const auto create = [this](const std::string& name) {
    const int fd = open_retrying(name, O_RDWR | O_CREAT | O_EXCL, 0666);
    if (fd < 0) return errno;
    fd_ = FileDescriptor(fd);
    return 0;
  };
  std::string name;
  const int create_error = with_temporary_name(target_, &name, create);
  if (create_error != 0) throw_file_error(target_, "create a file beside it", create_error);
  temporary_ = name;
  if (reserved_ == 0) return;
  int result;
  do {
    result = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(reserved_));
  } while (result != 0 && errno == EINTR);
  if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return;
  const int error_number = errno;
  ::unlink(temporary_.c_str());
  temporary_.clear();
  throw DeviceError(fmt::format("{}: error: cannot reserve space: {} (need {}, {} free)", target_,
                                errno_text(error_number), format_bytes(reserved_),
                                format_bytes(free_bytes(folder_))));
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const int error_number = write_fully(fd_.get(), bytes);
  if (error_number != 0) {
    throw DeviceError(fmt::format("{}: error: cannot write: {} ({} written, {} free)", target_,
                                  errno_text(error_number), format_bytes(written_),
                                  format_bytes(free_bytes(folder_))));
  }
  written_ += bytes.size();
}

void AtomicFile::read_back(const std::function<void(std::span<const std::byte>)>& consume) {
  constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20;
  std::vector<std::byte> chunk(static_cast<std::size_t>(std::min(kChunkBytes, written_)));
  for (std::uint64_t done = 0; done < written_;) {
    const auto wanted = static_cast<std::size_t>(std::min(kChunkBytes, written_ - done));
    const ssize_t count = ::pread(fd_.get(), chunk.data(), wanted, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_file_error(target_, "read back what was written", errno);
    if (count == 0) {
      throw DeviceError(fmt::format("{}: error: only {} of {} bytes could be read back", target_,
                                    done, written_));
    }
    consume(std::span<const std::byte>(chunk).first(static_cast<std::size_t>(count)));
    done += static_cast<std::uint64_t>(count);
  }
}

void AtomicFile::commit() {
  DAYBREAK_ASSERT(fd_.open() && (reserved_ == 0 || written_ == reserved_));
  if (::fsync(fd_.get()) != 0) throw_file_error(target_, "synchronise to the disk", errno);
  const int close_error = fd_.close();
  if (close_error != 0) throw_file_error(target_, "close", close_error);
  const std::string temporary = std::move(temporary_);
  temporary_.clear();
  rename_into_place(temporary, target_);
}

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path, text.size());
  file.write(text);
  file.commit();
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string temporary_name(const std::string& target, int attempt) {
  const std::string stem = fs::path(target).stem().string();
  const std::string number = attempt > 0 ? fmt::format(".{}", attempt) : "";
  const fs::path name = fmt::format(".{}.{}{}.tmp", stem, ::getpid(), number);
  return (fs::path(target).parent_path() / name).string();
}

int remove_stale_temporaries(const std::string& folder) {
  int removed = 0;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with('.') || !name.ends_with(".tmp")) continue;
    std::error_code ignored;
    const fs::file_type type = it->symlink_status(ignored).type();
    if (type != fs::file_type::regular && type != fs::file_type::symlink) continue;
    if (::unlink(it->path().c_str()) == 0) ++removed;
  }
  return removed;
}

bool replace_with_hard_link(const std::string& existing, const std::string& link_path) {
  std::string temporary;
  const int error_number = with_temporary_name(link_path, &temporary, [&](const std::string& name) {
    return ::link(existing.c_str(), name.c_str()) == 0 ? 0 : errno;
  });
  if (links_unsupported(error_number)) return false;
  if (error_number != 0) throw_file_error(link_path, "create a hard link beside it", error_number);
  rename_into_place(temporary, link_path);
  return true;
}

bool replace_with_symlink(const std::string& target, const std::string& link_path) {
  std::string temporary;
  const int error_number = with_temporary_name(link_path, &temporary, [&](const std::string& name) {
    return ::symlink(target.c_str(), name.c_str()) == 0 ? 0 : errno;
  });
  if (links_unsupported(error_number)) return false;
  if (error_number != 0) throw_file_error(link_path, "create a link beside it", error_number);
  rename_into_place(temporary, link_path);
  return true;
}

}  // namespace daybreak
