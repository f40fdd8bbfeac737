#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/posix_file.h"

namespace daybreak {

/// Writes scalars for TensorBoard into a new file "events.out.tfevents.<time>.<host>.<pid>.<n>".
/// Records are kept in memory until flush(); all failures are DeviceErrors.
class TfEventsWriter {
 public:
  explicit TfEventsWriter(const std::string& folder);
  /// Flushes; a failure here is only logged.
  ~TfEventsWriter();
  TfEventsWriter(const TfEventsWriter&) = delete;
  TfEventsWriter& operator=(const TfEventsWriter&) = delete;

  const std::string& path() const { return path_; }
  /// Adds one value. `wall_time` is in seconds since 1970; the form without it takes the clock's.
  void scalar(std::string_view tag, std::int64_t step, double value);
  void scalar(std::string_view tag, std::int64_t step, double value, double wall_time);
  void flush();

 private:
  void append_record(const std::string& data);

  std::string path_;
  FileDescriptor fd_;
  std::string pending_;
};

}  // namespace daybreak
