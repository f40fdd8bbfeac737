#include "config/text_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace daybreak {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kBlock = 1024;

bool continues(unsigned char c) {
  return (c & 0xC0) == 0x80;
}

/// Bytes of the UTF-8 character at `i`; 0 when malformed (RFC 3629: no surrogates, no overlong
/// forms, nothing above U+10FFFF).
std::size_t character_bytes(std::string_view text, std::size_t i) {
  const auto at = [&](std::size_t k) -> unsigned char {
    return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0;
  };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(at(1)) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(at(1)) || !continues(at(2))) return 0;
    if (first == 0xE0 && at(1) < 0xA0) return 0;
    if (first == 0xED && at(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(at(1)) || !continues(at(2)) || !continues(at(3))) return 0;
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

std::string complaint(std::string_view text, std::size_t i) {
  const auto c = static_cast<unsigned char>(text[i]);
  if (c == '\t')
    return "tab character: indent and separate with spaces (\"\\t\" in quotes is a tab)";
  if (c == 0) return "NUL byte: this is not a text file, or it is UTF-16 (save it as UTF-8)";
  if (c == '\r') return "carriage return without a line feed";
  if (c < 0x20 || c == 0x7F) return fmt::format("control character 0x{:02x}", c);
  return fmt::format("byte 0x{:02x} is not valid UTF-8 (save the file as UTF-8)", c);
}

}  // namespace

SourceText::SourceText(std::string_view bytes, const std::string& file, Diagnostics& diagnostics) {
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  text_.reserve(bytes.size() + 1);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
    text_ += bytes[i];
  }
  line_starts_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_starts_.push_back(i + 1);
  }
  count_characters();
  check(file, diagnostics);
}

void SourceText::check(const std::string& file, Diagnostics& diagnostics) {
  std::size_t line = 0;
  std::size_t last_reported_line = text_.size() + 1;
  for (std::size_t i = 0; i < text_.size();) {
    const auto c = static_cast<unsigned char>(text_[i]);
    if (c == '\n') {
      ++line;
      ++i;
      continue;
    }
    const std::size_t bytes = character_bytes(text_, i);
    if (bytes > 0 && c >= 0x20 && c != 0x7F) {
      i += bytes;
      continue;
    }
    good_ = false;
    if (line != last_reported_line) {  // one a line is enough
      const Mark mark{file, static_cast<int>(line) + 1, column(line, i - line_starts_[line])};
      diagnostics.add(mark, complaint(text_, i));
      if (diagnostics.size() > 100) return;
    }
    last_reported_line = line;
    ++i;
  }
}

void SourceText::count_characters() {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (i % kBlock == 0) block_starts_.push_back(characters);
    if (!continues(static_cast<unsigned char>(text_[i]))) ++characters;
  }
  block_starts_.push_back(characters);
}

std::size_t SourceText::characters_before(std::size_t byte) const {
  if (byte >= text_.size()) return block_starts_.back();
  std::size_t characters = block_starts_[byte / kBlock];
  for (std::size_t i = byte / kBlock * kBlock; i < byte; ++i) {
    if (!continues(static_cast<unsigned char>(text_[i]))) ++characters;
  }
  return characters;
}

int SourceText::column(std::size_t line, std::size_t byte) const {
  if (line >= line_starts_.size()) return static_cast<int>(byte) + 1;
  const std::size_t start = line_starts_[line];
  return static_cast<int>(characters_before(start + byte) - characters_before(start)) + 1;
}

}  // namespace daybreak
