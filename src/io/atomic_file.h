#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "io/posix_file.h"

namespace daybreak {

/// Replaces a file as a whole: readers, and a start after a crash, see the old or the new content,
/// never a mixture. Writes to ".<stem>.<pid>[.<n>].tmp" in the same folder, synchronises, renames,
/// synchronises the folder. A failed fsync is never tried again: Linux may have dropped the pages.
/// Every failure is a DeviceError with the text of errno; the destructor then removes the
/// temporary.
class AtomicFile {
 public:
  /// `total_bytes` > 0 reserves the space first, so that a full disk shows before anything else.
  explicit AtomicFile(std::string target, std::uint64_t total_bytes = 0);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Hands all bytes written so far, as the system gives them back, to `consume` in order.
  void read_back(const std::function<void(std::span<const std::byte>)>& consume);
  /// Makes the content durable under the target's name.
  void commit();

 private:
  std::string target_;
  std::string folder_;
  std::string temporary_;
  FileDescriptor fd_;
  std::uint64_t reserved_ = 0;
  std::uint64_t written_ = 0;
};

/// Replaces the file `path` with `text` atomically.
void write_file_atomically(const std::string& path, std::string_view text);

/// "a/b/c.d" -> "a/b"; "." when there is no folder part.
std::string folder_of(const std::string& path);

/// A name for a temporary beside `target`: ".<stem>.<pid>.tmp", with ".<attempt>" after the pid
/// when attempt > 0. Such names are what remove_stale_temporaries() looks for.
std::string temporary_name(const std::string& target, int attempt);

/// Removes regular files and links named ".*.tmp" from `folder` and returns how many. Call it only
/// while holding the folder's lock: another writer's temporary looks the same.
int remove_stale_temporaries(const std::string& folder);

/// Makes `link_path` a hard link to `existing` atomically, replacing what was there. Returns false
/// when the file system has no hard links, so that the caller can copy; throws DeviceError.
bool replace_with_hard_link(const std::string& existing, const std::string& link_path);

/// Makes `link_path` a symbolic link with the text `target` atomically. Returns false when the file
/// system has no symbolic links.
bool replace_with_symlink(const std::string& target, const std::string& link_path);

}  // namespace daybreak
