#include "cli/class_names.h"

#include <string_view>

#include "core/error.h"
#include "io/posix_file.h"

namespace daybreak {

std::vector<std::string> read_class_names(const std::string& path) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{16} << 20;
  const FileBytes bytes = read_whole_file(path, kMaxBytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  if (text.find('\0') != std::string_view::npos) {
    throw DataError(path, "holds binary data, expected text with a name a line");
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    names.emplace_back(line);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

}  // namespace daybreak
