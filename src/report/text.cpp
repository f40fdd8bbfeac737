#include "report/text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace daybreak {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// One code point from text at `at`, which is moved past it; kReplacement for what is not UTF-8
// (overlong forms, surrogates and values above 0x10FFFF included).
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at++);
  if (lead < 0x80) return lead;
  int more = 0;
  char32_t point = 0;
  char32_t least = 0;
  if ((lead & 0xE0) == 0xC0) {
    more = 1, point = lead & 0x1F, least = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    more = 2, point = lead & 0x0F, least = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    more = 3, point = lead & 0x07, least = 0x10000;
  } else {
    return kReplacement;
  }
  const std::size_t start = at;
  for (int i = 0; i < more; ++i) {
    if (at >= text.size() || (byte(at) & 0xC0) != 0x80) {
      at = start;
      return kReplacement;
    }
    point = (point << 6) | (byte(at++) & 0x3F);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < least || point > 0x10FFFF || surrogate) return kReplacement;
  return point;
}

void append_utf8(std::string& out, char32_t point) {
  const auto put = [&](char32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | (point >> 6)), put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | (point >> 12)), put(0x80 | ((point >> 6) & 0x3F)), put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | (point >> 18)), put(0x80 | ((point >> 12) & 0x3F));
    put(0x80 | ((point >> 6) & 0x3F)), put(0x80 | (point & 0x3F));
  }
}

// C0, DEL, C1, and the marks that turn the direction of text (they could disguise a name).
bool is_control(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069) || point == 0xFFFE || point == 0xFFFF;
}

int columns_of(char32_t point) {
  const bool combining = (point >= 0x300 && point <= 0x36F) || point == 0x200B ||
                         (point >= 0x20D0 && point <= 0x20FF) ||
                         (point >= 0xFE00 && point <= 0xFE0F);
  if (combining) return 0;
  const bool wide = (point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF) ||
                    (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
                    (point >= 0xFE30 && point <= 0xFE6F) || (point >= 0xFF00 && point <= 0xFF60) ||
                    (point >= 0x1F300 && point <= 0x1FAFF) ||
                    (point >= 0x20000 && point <= 0x3FFFD);
  return wide ? 2 : 1;
}

std::string clean(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t point = next_code_point(text, at);
    const bool kept = keep_lines && (point == '\n' || point == '\t');
    append_utf8(out, is_control(point) && !kept ? kReplacement : point);
  }
  return out;
}

// Three significant digits: "0.23", "9.87", "41.0", "812".
std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

std::string with_separators(std::int64_t value) {
  const std::string digits = fmt::format("{}", value);
  const std::size_t first = value < 0 ? 1 : 0;
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string human_flops(double flops) {
  static constexpr std::array<const char*, 4> kUnits = {"MFLOP", "GFLOP", "TFLOP", "PFLOP"};
  if (!std::isfinite(flops)) return "- FLOP";
  if (flops < 10000.0) return fmt::format("{:.0f} FLOP", flops);
  double value = flops / 1e6;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  return fmt::format("{} {}", three_digits(value), kUnits[unit]);
}

std::string human_count(double count) {
  static constexpr std::array<const char*, 5> kUnits = {"", " k", " M", " G", " T"};
  if (!std::isfinite(count)) return "-";
  if (std::abs(count) < 999.5) return fmt::format("{:.0f}", count);
  double value = count;
  std::size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  return three_digits(value) + kUnits[unit];
}

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0 || seconds > 3.6e9) return "-:--";
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0) return "-";
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 99.95) return fmt::format("{:.1f} s", seconds);
  return clock_text(seconds);
}

std::string metric_text(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const double size = std::abs(value);
  if (size != 0.0 && (size < 0.0005 || size >= 1e5)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.3f}", value);
}

std::string rate_text(double value) {
  if (!std::isfinite(value)) return metric_text(value);
  const double size = std::abs(value);
  if (size != 0.0 && (size < 0.001 || size >= 1e5)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.4f}", value);
}

std::string short_number(double value, int digits) {
  return fmt::format("{:.{}g}", value, digits);
}

std::string percent_text(double share, int decimals) {
  if (!std::isfinite(share)) return "-";
  return fmt::format("{:.{}f} %", share * 100.0, decimals);
}

std::string image_rate_text(double images_per_second) {
  if (!(images_per_second >= 0.0 && images_per_second < 1e15)) return "- img/s";
  if (images_per_second < 99.95) return fmt::format("{:.1f} img/s", images_per_second);
  return with_separators(std::llround(images_per_second)) + " img/s";
}

std::string clean_text(std::string_view text) {
  return clean(text, /*keep_lines=*/false);
}

std::string clean_block(std::string_view text) {
  return clean(text, /*keep_lines=*/true);
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    columns += static_cast<std::size_t>(columns_of(next_code_point(text, at)));
  }
  return columns;
}

std::string fit_columns(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  std::size_t used = 0;
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size(); end = at) {
    used += static_cast<std::size_t>(columns_of(next_code_point(text, at)));
    if (used > columns - 1) break;
  }
  return std::string(text.substr(0, end)) + "~";
}

}  // namespace daybreak
