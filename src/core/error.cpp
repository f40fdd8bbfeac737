#include "core/error.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace daybreak {
namespace {

std::string join(const std::vector<Diagnostic>& diagnostics) {
  constexpr std::size_t kMaxShown = 20;
  std::string text;
  for (std::size_t i = 0; i < diagnostics.size() && i < kMaxShown; ++i) {
    if (i > 0) text += '\n';
    text += diagnostics[i].to_string();
  }
  if (diagnostics.size() > kMaxShown) {
    text += fmt::format("\n... and {} more errors", diagnostics.size() - kMaxShown);
  }
  return text;
}

}  // namespace

std::string Mark::to_string() const {
  if (file.empty()) return "daybreak";
  if (line <= 0) return file;
  if (column <= 0) return fmt::format("{}:{}", file, line);
  return fmt::format("{}:{}:{}", file, line, column);
}

std::string Diagnostic::to_string() const {
  std::string result = fmt::format("{}: error: {}", mark.to_string(), text);
  for (const std::string& note : notes) result += "\n    " + note;
  return result;
}

ConfigError::ConfigError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error(join(diagnostics)), diagnostics_(std::move(diagnostics)) {}

ConfigError::ConfigError(Mark mark, std::string text)
    : ConfigError(std::vector<Diagnostic>{{std::move(mark), std::move(text), {}}}) {}

ConfigError::ConfigError(std::string text) : ConfigError(Mark{}, std::move(text)) {}

DataError::DataError(const std::string& path, const std::string& text)
    : std::runtime_error(fmt::format("{}: error: {}", path, text)) {}

DataError::DataError(const std::string& path, std::uint64_t byte_offset, const std::string& text)
    : std::runtime_error(fmt::format("{}@0x{:x}: error: {}", path, byte_offset, text)) {}

std::string errno_text(int error_number) { return std::strerror(error_number); }

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr,
               "daybreak: internal error: %s does not hold (%s:%d); please report this\n",
               expression, file, line);
  std::abort();
}

}  // namespace daybreak
