#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace daybreak {

/// A place in a text file. Line and column are 1-based; 0 means "the whole file".
struct Mark {
  std::string file;
  int line = 0;
  int column = 0;

  /// "FILE:LINE:COLUMN", with the parts that are known; "daybreak" when there is no file.
  std::string to_string() const;
};

/// One thing that is wrong with a configuration: where, what, and optional indented notes below it.
struct Diagnostic {
  Mark mark;
  std::string text;
  std::vector<std::string> notes;

  /// "FILE:LINE:COLUMN: error: TEXT" and the notes, one a line, without a trailing line feed.
  std::string to_string() const;
};

/// Wrong usage or configuration: exit code 2. Carries every independent error found.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(std::vector<Diagnostic> diagnostics);
  ConfigError(Mark mark, std::string text);
  /// An error without a place, such as a wrong option on the command line.
  explicit ConfigError(std::string text);
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// Missing, unreadable or malformed data, weights or checkpoint: exit code 4.
/// The message starts with the path (and line or @0x offset) it is about.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  DataError(const std::string& path, const std::string& text);
  DataError(const std::string& path, std::uint64_t byte_offset, const std::string& text);
};

/// Device, memory or I/O trouble (no GPU, out of memory, disk full): exit code 5.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Training produced a non-finite loss or gradient: exit code 3.
class DivergenceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Text of an errno value, for messages: "No space left on device".
std::string errno_text(int error_number);

/// Our own mistake, unreachable by user input: prints where and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace daybreak

#define DAYBREAK_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::daybreak::assertion_failed(#expression, __FILE__, __LINE__))
