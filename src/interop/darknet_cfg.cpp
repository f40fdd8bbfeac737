#include "interop/darknet_cfg.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace daybreak {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxSections = 10'000;

std::string without_space(std::string_view line) {
  std::string result;
  for (const char c : line) {
    if (c != ' ' && c != '\t' && c != '\r') result += c;
  }
  return result;
}

bool is_text(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char raw) {
    const auto c = static_cast<unsigned char>(raw);
    return (c >= 0x20 && c != 0x7F) || c == '\t' || c == '\r';
  });
}

class CfgParser {
 public:
  CfgParser(const std::string& file, Diagnostics& diagnostics)
      : file_(file), diagnostics_(diagnostics) {}

  void line(std::string_view raw, int number) {
    const Mark mark{file_, number, 1};
    if (!is_text(raw)) {
      diagnostics_.add({file_, number, 1}, "not a line of text", {}, "binary");
      return;
    }
    std::string text = without_space(raw);
    text = text.substr(0, text.find('#'));  // "40#32": pj and ab read the number in front of it
    if (text.empty() || text[0] == ';') return;
    if (text[0] == '[') {
      section(text, mark);
    } else {
      entry(text, mark);
    }
  }

  std::vector<DarknetSection> finish() { return std::move(sections_); }

 private:
  void section(const std::string& text, const Mark& mark) {
    if (text.size() < 3 || text.find(']') != text.size() - 1) {
      diagnostics_.add(mark, fmt::format("a section must be [NAME], found {}", quote(text)));
      return;
    }
    if (sections_.size() == kMaxSections) {
      diagnostics_.add(mark, fmt::format("more than {} sections", kMaxSections), {}, "sections");
      return;
    }
    sections_.push_back({text.substr(1, text.size() - 2), mark, {}});
  }

  void entry(const std::string& text, const Mark& mark) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      diagnostics_.add(mark, fmt::format("expected KEY=VALUE or [SECTION], found {}", quote(text)));
      return;
    }
    if (sections_.empty()) {
      diagnostics_.add(mark, "a key before the first section; the file must start with [net]");
      return;
    }
    DarknetSection& section = sections_.back();
    DarknetEntry entry{text.substr(0, equals), text.substr(equals + 1), mark};
    for (const DarknetEntry& other : section.entries) {
      if (other.key != entry.key) continue;
      if (other.value == entry.value || may_repeat(section, entry.key)) {
        section.repeated.push_back(std::move(entry));
        return;
      }
      diagnostics_.add(mark, fmt::format("[{}]: key {} is given twice, first in line {}",
                                         section.name, quote(entry.key), other.mark.line));
      return;
    }
    section.entries.push_back(std::move(entry));
  }

  // Official files have a batch for tests and another for training; what decides the network's
  // shape must not be said twice.
  static bool may_repeat(const DarknetSection& section, const std::string& key) {
    return (section.name == "net" || section.name == "network") && key != "height" &&
           key != "width" && key != "channels";
  }

  const std::string& file_;
  Diagnostics& diagnostics_;
  std::vector<DarknetSection> sections_;
};

bool read_value(std::string_view token, double& value) {
  const auto parsed = parse_double(token);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

bool read_value(std::string_view token, int& value) {
  const auto parsed = parse_int(token);
  if (!parsed || *parsed < -1'000'000'000 || *parsed > 1'000'000'000) return false;
  value = static_cast<int>(*parsed);
  return true;
}

}  // namespace

const char* to_string(DarknetDialect dialect) {
  switch (dialect) {
    case DarknetDialect::pj:
      return "pj";
    case DarknetDialect::ab:
      return "ab";
    case DarknetDialect::hk:
      return "hk";
  }
  return "?";
}

std::vector<DarknetSection> parse_darknet_cfg(std::string_view text, const std::string& file,
                                              Diagnostics& diagnostics) {
  if (text.size() > kMaxBytes) {
    diagnostics.add({file}, fmt::format("{} are too many for a configuration file (at most {})",
                                        format_bytes(text.size()), format_bytes(kMaxBytes)));
    return {};
  }
  if (text.find('\0') != std::string_view::npos) {
    diagnostics.add({file},
                    "holds binary data, expected a Darknet configuration (are CFG and "
                    "WEIGHTS in this order?)");
    return {};
  }
  CfgParser parser(file, diagnostics);
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    parser.line(text.substr(0, end), ++number);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  std::vector<DarknetSection> sections = parser.finish();
  if (sections.empty() && diagnostics.empty()) {
    diagnostics.add({file}, "no sections; the file must start with [net]");
  }
  return sections;
}

const DarknetEntry* DarknetKeys::find(const std::string& key) const {
  known_.insert(key);
  for (const DarknetEntry& entry : section_.entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

int DarknetKeys::whole(const std::string& key, int fallback, int lo, int hi) {
  const DarknetEntry* entry = find(key);
  if (!entry) return fallback;
  const auto value = parse_int(entry->value);
  if (!value) {
    error(key, fmt::format("must be a whole number, found {}", quote(entry->value)));
    return fallback;
  }
  if (*value < lo || *value > hi) {
    error(key, fmt::format("must be in {}..{}, found {}", lo, hi, *value));
    return fallback;
  }
  return static_cast<int>(*value);
}

double DarknetKeys::number(const std::string& key, double fallback) {
  const DarknetEntry* entry = find(key);
  if (!entry) return fallback;
  double value = fallback;
  if (!read_value(entry->value, value)) {
    error(key, fmt::format("must be a number, found {}", quote(entry->value)));
    return fallback;
  }
  return value;
}

std::string DarknetKeys::text(const std::string& key, const std::string& fallback) {
  const DarknetEntry* entry = find(key);
  return entry ? entry->value : fallback;
}

template <typename T>
std::vector<T> DarknetKeys::list(const std::string& key) {
  std::vector<T> values;
  const DarknetEntry* entry = find(key);
  if (!entry) return values;
  std::string_view rest = entry->value;
  if (!rest.empty() && rest.back() == ',') rest.remove_suffix(1);  // a trailing comma is common
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view token = rest.substr(0, comma);
    T value{};
    if (!read_value(token, value)) {
      error(key, fmt::format("must be a list of numbers, found {}", quote(token)));
      return {};
    }
    values.push_back(value);
    if (comma == std::string_view::npos) return values;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<int> DarknetKeys::wholes(const std::string& key) {
  return list<int>(key);
}

std::vector<double> DarknetKeys::numbers(const std::string& key) {
  return list<double>(key);
}

void DarknetKeys::refuse(const std::string& key, const std::string& reason) {
  const DarknetEntry* entry = find(key);
  if (!entry) return;
  double value = 1.0;
  if (read_value(entry->value, value) && value == 0.0) return;
  error(key, fmt::format("={} cannot be imported: {}", entry->value, reason));
}

void DarknetKeys::drop(std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const DarknetEntry* entry = find(key)) {
      dropped_.push_back(
          fmt::format("line {}: [{}] {}={}", entry->mark.line, section_.name, key, entry->value));
    }
  }
}

void DarknetKeys::error(const std::string& key, const std::string& text) {
  const DarknetEntry* entry = key.empty() ? nullptr : find(key);
  const std::string what = key.empty() ? "" : fmt::format("\"{}\"", key);
  const std::string space = what.empty() || text.front() == '=' ? "" : " ";
  diagnostics_.add(entry ? entry->mark : section_.mark,
                   fmt::format("[{}]: {}{}{}", section_.name, what, space, text));
}

void DarknetKeys::finish() {
  for (const DarknetEntry& entry : section_.repeated) {
    dropped_.push_back(fmt::format("line {}: [{}] {}={}, given before", entry.mark.line,
                                   section_.name, entry.key, entry.value));
  }
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const DarknetEntry& entry : section_.entries) {
    if (known_.contains(entry.key)) continue;
    const auto nearest = nearest_name(entry.key, known);
    diagnostics_.add(entry.mark,
                     fmt::format("[{}]: unknown key {}{}", section_.name, quote(entry.key),
                                 nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : ""));
  }
}

}  // namespace daybreak
