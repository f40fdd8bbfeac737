#pragma once

#include <string>

#include "io/posix_file.h"

namespace daybreak {

/// A run's folder with its lock: as long as this lives, no other process writes there. The lock
/// goes with the process, however it ends.
class RunFolder {
 public:
  /// A new folder, and those above it; it must not exist yet. Throws ConfigError.
  static RunFolder create(const std::string& path);
  /// PARENT/NAME-N, N one more than the highest there is. Two starts at once get two folders.
  static RunFolder create_numbered(const std::string& parent, const std::string& name);
  /// An existing run, to resume it. Throws ConfigError when it is missing or another process
  /// writes there. Removes temporaries that a crash left.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }

 private:
  explicit RunFolder(std::string path);

  std::string path_;
  FileDescriptor lock_;
};

/// The run folder below `parent` with the newest checkpoint. Throws ConfigError when there is none.
std::string newest_run_folder(const std::string& parent);

}  // namespace daybreak
