#include "config/values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

#include "core/text.h"

namespace daybreak {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Length of the run of digits at the start.
std::size_t digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  return n;
}

struct NumberShape {
  bool valid = false;
  bool whole = false;
};

/// [+-] digits [. digits] [e [+-] digits], without leading zeros.
NumberShape shape_of(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  const std::size_t before = digits(text);
  if (before > 1 && text[0] == '0') return {};
  text.remove_prefix(before);
  bool whole = before > 0;
  std::size_t after = 0;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    after = digits(text);
    text.remove_prefix(after);
    whole = false;
  }
  if (before + after == 0) return {};
  if (!text.empty() && (text[0] == 'e' || text[0] == 'E')) {
    text.remove_prefix(1);
    if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
    const std::size_t exponent = digits(text);
    if (exponent == 0) return {};
    text.remove_prefix(exponent);
    whole = false;
  }
  return {text.empty(), whole && text.empty()};
}

std::string_view without_plus(std::string_view text) {
  return !text.empty() && text[0] == '+' ? text.substr(1) : text;
}

/// What may have been meant by text that is no number.
std::vector<std::string> number_notes(const Node& node) {
  if (!node.is_scalar()) return {};
  if (node.quoted) {
    if (!shape_of(node.text).valid) return {};
    return {"text in quotes is never a number; remove the quotes"};
  }
  std::string_view text = node.text;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    if (code != std::errc() || end != text.data() + text.size()) return {"numbers are decimal"};
    return {fmt::format("numbers are decimal; write {}", value)};
  }
  if (text.size() > 1 && text[0] == '0' && digits(text) == text.size()) {
    const std::size_t zeros = std::min(text.find_first_not_of('0'), text.size() - 1);
    const std::string_view decimal = text.substr(zeros);
    std::uint64_t octal = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), octal, 8);
    const std::string note = "numbers with a leading zero are not accepted";
    if (code == std::errc() && end == text.data() + text.size() &&
        fmt::to_string(octal) != decimal) {
      return {fmt::format("{} (other tools read this as {}); write {} or {}", note, octal, decimal,
                          octal)};
    }
    return {fmt::format("{}; write {}", note, decimal)};
  }
  std::string plain;
  for (const char c : text) {
    if (c != '_' && c != ',') plain += c;
  }
  if (plain.size() != text.size() && shape_of(plain).valid) {
    if (text.find('_') != std::string_view::npos)
      return {fmt::format("write {} without \"_\"", plain)};
    return {"the decimal sign is a point, and digits are not grouped"};
  }
  if (text == ".nan" || text == ".inf" || text == ".NaN" || text == ".Inf" || text == "nan" ||
      text == "inf") {
    return {"only finite numbers are accepted"};
  }
  return {};
}

std::string whole_words(const Reader& reader) {
  const std::string range = reader.rules().range_text();
  return range.empty() ? "a whole number" : "a whole number " + range;
}

std::string number_words(const Reader& reader) {
  const std::string range = reader.rules().range_text();
  return range.empty() ? "a number" : "a number " + range;
}

bool out_of_range(const Node& node, const Reader& reader, const std::string& natural) {
  const std::string range = reader.rules().range_text();
  return reader.error(
      node.mark, fmt::format("must be {}, found {}", range.empty() ? natural : range, node.text));
}

template <typename T>
bool parse_whole(const Node& node, T& value, const Reader& reader, std::string_view text) {
  if (!node.is_scalar() || node.quoted || !shape_of(node.text).whole) {
    std::vector<std::string> notes = number_notes(node);
    double number = 0;
    if (notes.empty() && node.is_scalar() && !node.quoted && shape_of(node.text).valid &&
        std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc() &&
        number == std::floor(number) && std::abs(number) < 1e15) {
      notes.push_back(fmt::format("write {:.0f}", number));
    }
    return reader.wrong(node, whole_words(reader), std::move(notes));
  }
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc() && end == text.data() + text.size()) return true;
  return out_of_range(
      node, reader,
      fmt::format("in {}..{}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

template <typename T>
std::string shortest(T value) {
  char buffer[64];
  const auto [end, code] = std::to_chars(std::begin(buffer), std::end(buffer), value);
  std::string text(buffer, code == std::errc() ? end : buffer);
  // "1e-04" is legal, "1e-4" is what people write.
  const std::size_t e = text.find('e');
  if (e != std::string::npos) {
    std::string exponent = text.substr(e + 1);
    const bool negative = exponent[0] == '-';
    exponent.erase(0, exponent.find_first_not_of("+-0"));
    text = text.substr(0, e) + (negative ? "e-" : "e") + exponent;
  }
  return text;
}

}  // namespace

std::string number_text(double value) {
  return shortest(value);
}
std::string number_text(float value) {
  return shortest(value);
}

bool read_bool(const Node& node, bool& value, const Reader& reader) {
  if (node.is_word("true") || node.is_word("false")) {
    value = node.text == "true";
    return true;
  }
  std::vector<std::string> notes;
  if (node.is_scalar() && (node.text == "true" || node.text == "false"))
    notes = {"remove the quotes"};
  return reader.wrong(node, "true or false", std::move(notes));
}

bool read_whole(const Node& node, std::int64_t& value, std::int64_t lo, std::int64_t hi,
                const Reader& reader) {
  std::int64_t found = 0;
  if (!parse_whole(node, found, reader, without_plus(node.text))) return false;
  if (found < lo || found > hi || !reader.rules().allows(static_cast<double>(found))) {
    return out_of_range(node, reader, fmt::format("in {}..{}", lo, hi));
  }
  value = found;
  return true;
}

bool read_unsigned(const Node& node, std::uint64_t& value, const Reader& reader) {
  std::uint64_t found = 0;
  if (node.is_scalar() && !node.quoted && node.text.starts_with("-") && shape_of(node.text).whole) {
    return out_of_range(node, reader, "at least 0");
  }
  if (!parse_whole(node, found, reader, without_plus(node.text))) return false;
  if (!reader.rules().allows(static_cast<double>(found))) return out_of_range(node, reader, "");
  value = found;
  return true;
}

bool read_number(const Node& node, double& value, double limit, const Reader& reader) {
  if (!node.is_scalar() || node.quoted || !shape_of(node.text).valid) {
    return reader.wrong(node, number_words(reader), number_notes(node));
  }
  const std::string_view text = without_plus(node.text);
  double found = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), found);
  const bool parsed = code == std::errc() && end == text.data() + text.size();
  if (!parsed || std::abs(found) > limit) {
    return reader.error(
        node.mark, fmt::format("is too large or too small for a number: {}", quote(node.text)));
  }
  if (!reader.rules().allows(found)) return out_of_range(node, reader, "");
  value = found;
  return true;
}

bool read_text(const Node& node, std::string& value, const Reader& reader) {
  if (!node.is_scalar()) {
    std::vector<std::string> notes;
    if (node.is_null())
      notes.push_back("write \"\" for an empty text, quotes for the text \"null\"");
    return reader.wrong(node, "text", std::move(notes));
  }
  if (node.text.empty() && !reader.rules().empty_text)
    return reader.error(node.mark, "must not be empty");
  value = node.text;
  return true;
}

int read_name(const Node& node, const std::vector<std::string>& names, const Reader& reader) {
  if (node.is_scalar()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (node.text == names[i]) return static_cast<int>(i);
    }
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  std::string text = fmt::format("must be one of {}, found {}", list, describe(node));
  const auto nearest = node.is_scalar() ? nearest_name(node.text, names) : std::nullopt;
  if (nearest) text += fmt::format(", did you mean \"{}\"?", *nearest);
  reader.error(node.mark, text);
  return -1;
}

bool check_list(const Node& node, const Reader& reader) {
  const Rules& rules = reader.rules();
  std::string words = "a list";
  if (rules.min_items == rules.max_items) {
    words = fmt::format("a list of {}", rules.min_items);
  } else if (node.items.size() > rules.max_items) {
    words = fmt::format("a list of at most {}", rules.max_items);
  } else if (rules.min_items > 0) {
    words = fmt::format("a list of at least {}", rules.min_items);
  }
  if (!node.is_list()) return reader.wrong(node, words);
  const std::size_t n = node.items.size();
  if (n >= rules.min_items && n <= rules.max_items) return true;
  return reader.error(node.mark, fmt::format("must be {}, found a list of {}", words, n));
}

}  // namespace daybreak
