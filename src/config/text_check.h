#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"

namespace daybreak {

/// A text file's bytes checked for what no configuration contains, with LF line ends and no byte
/// order mark, and its lines, to turn byte columns into columns of characters.
class SourceText {
 public:
  /// Reports NUL and other control characters, tabs, lone carriage returns and malformed UTF-8.
  SourceText(std::string_view bytes, const std::string& file, Diagnostics& diagnostics);

  bool good() const { return good_; }
  const std::string& text() const { return text_; }
  /// Column in characters (1-based) of a byte (0-based) of a line (0-based).
  int column(std::size_t line, std::size_t byte) const;

 private:
  void check(const std::string& file, Diagnostics& diagnostics);
  void count_characters();
  /// Characters that start before a byte of the text.
  std::size_t characters_before(std::size_t byte) const;

  std::string text_;
  std::vector<std::size_t> line_starts_;
  std::vector<std::size_t> block_starts_;  ///< characters before each block of bytes
  bool good_ = true;
};

}  // namespace daybreak
