#include "config/schema_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/values.h"
#include "core/text.h"

namespace daybreak {
namespace {

std::string short_number(double value) {
  constexpr double kReadable = 1e9;
  if (value == std::floor(value) && std::abs(value) < kReadable)
    return fmt::format("{:.0f}", value);
  return number_text(value);
}

std::string join_names(const std::vector<NameDoc>& names) {
  std::string text;
  for (const NameDoc& name : names) text += (text.empty() ? "" : ", ") + name.name;
  return text;
}

std::string with_range(std::string text, const Rules& rules) {
  const std::string range = rules.range_text();
  return range.empty() ? text : text + " " + range;
}

}  // namespace

bool Rules::bounded() const {
  return std::isfinite(lo) || std::isfinite(hi);
}

bool Rules::allows(double value) const {
  return (lo_open ? value > lo : value >= lo) && (hi_open ? value < hi : value <= hi);
}

std::string Rules::range_text() const {
  const bool low = std::isfinite(lo), high = std::isfinite(hi);
  if (low && high && !lo_open && !hi_open) {
    return fmt::format("in {}..{}", short_number(lo), short_number(hi));
  }
  std::string text;
  if (low) text = (lo_open ? "above " : "at least ") + short_number(lo);
  if (high)
    text += (low ? " and " : "") + std::string(hi_open ? "below " : "at most ") + short_number(hi);
  return text;
}

std::vector<FieldInfo> TypeInfo::fields() const {
  if (own_fields) return own_fields();
  return schema ? schema->fields() : std::vector<FieldInfo>();
}

TypeInfo TypeInfo::of(Kind kind, Rules rules) {
  TypeInfo info;
  info.kind = kind;
  info.rules = rules;
  return info;
}

TypeInfo TypeInfo::one_of(std::vector<TypeInfo> parts) {
  TypeInfo info = of(Kind::one_of);
  info.parts = std::move(parts);
  return info;
}

TypeInfo TypeInfo::word(std::string name) {
  TypeInfo info = of(Kind::names);
  info.names.push_back({std::move(name), ""});
  return info;
}

std::string TypeInfo::to_string() const {
  if (!words.empty()) return words;
  switch (kind) {
    case Kind::any:
      return "any value";
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return with_range("whole number", rules);
    case Kind::number:
      return with_range("number", rules);
    case Kind::text:
      return "text";
    case Kind::names:
      return names.size() == 1 ? names[0].name : "one of " + join_names(names);
    case Kind::list:
      return "list of " + parts[0].to_string();
    case Kind::pair:
      return "pair of " + parts[0].to_string();
    case Kind::map:
      return "map";
    case Kind::tagged:
      return "one of " + join_names(names);
    case Kind::layers:
      return "list of layers";
    case Kind::one_of:
      break;
  }
  std::string text;
  for (const TypeInfo& part : parts) text += (text.empty() ? "" : " or ") + part.to_string();
  return text;
}

Reader::Reader(Diagnostics& diagnostics, Owner owner, std::string path)
    : diagnostics_(&diagnostics), owner_(std::move(owner)), path_(std::move(path)) {}

Reader Reader::at(std::string_view key) const {
  return Reader(*diagnostics_, owner_,
                path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

Reader Reader::at(std::size_t index) const {
  return Reader(*diagnostics_, owner_, fmt::format("{}[{}]", path_, index));
}

Reader Reader::with(const Rules& rules) const {
  Reader result = *this;
  result.rules_ = rules;
  return result;
}

std::string Reader::subject() const {
  if (path_.empty()) return owner_.name.empty() ? "the file" : owner_.name;
  if (owner_.name.empty()) return fmt::format("\"{}\"", path_);
  return fmt::format("\"{}\" of {}", path_, owner_.name);
}

bool Reader::error(const Mark& mark, const std::string& text,
                   std::vector<std::string> notes) const {
  diagnostics_->add(mark, subject() + " " + text, std::move(notes), path_ + " " + text);
  return false;
}

bool Reader::wrong(const Node& node, const std::string& expected,
                   std::vector<std::string> notes) const {
  return error(node.mark, fmt::format("must be {}, found {}", expected, describe(node)),
               std::move(notes));
}

std::string hint(std::string_view word, const std::vector<std::string>& known) {
  const auto nearest = nearest_name(word, known);
  if (nearest) return fmt::format(", did you mean \"{}\"?", *nearest);
  if (known.empty()) return " (no keys are valid here)";
  constexpr std::size_t kShown = 8;
  std::string list;
  for (std::size_t i = 0; i < std::min(known.size(), kShown); ++i) {
    list += (i > 0 ? ", " : "") + known[i];
  }
  return fmt::format(" (valid: {}{})", list, known.size() > kShown ? ", ..." : "");
}

namespace {

/// The nested map of the table that knows `key`: where a misplaced key belongs.
std::string home_of(std::string_view key, const SchemaBase& schema) {
  for (const FieldInfo& info : schema.fields()) {
    if (info.type.kind != TypeInfo::Kind::map || !info.type.schema) continue;
    const std::vector<std::string> inner = info.type.schema->keys();
    if (std::find(inner.begin(), inner.end(), key) != inner.end()) return info.key;
  }
  return "";
}

void report_unknown(const NodeEntry& entry, const std::vector<std::string>& keys,
                    const SchemaBase& schema, const Reader& reader) {
  std::string where;
  if (!reader.path().empty() || !reader.owner().name.empty()) where = " in " + reader.subject();
  if (!reader.owner().note.empty()) where += " " + reader.owner().note;
  const std::string home = home_of(entry.key, schema);
  const std::string fix =
      home.empty() ? hint(entry.key, keys) : fmt::format(", it belongs into \"{}\"", home);
  reader.diagnostics().add(entry.mark,
                           fmt::format("unknown key {}{}{}", quote(entry.key), where, fix), {},
                           fmt::format("unknown key {}", entry.key));
}

}  // namespace

bool read_map(const Node& node, const std::vector<std::string>& keys,
              const std::vector<bool>& required, const SchemaBase& schema, const Reader& reader,
              const std::function<bool(std::size_t, const Node&)>& read_field) {
  if (!node.is_map()) {
    std::vector<std::string> notes;
    if (node.is_null()) notes.push_back("write {} to take every default");
    return reader.wrong(node, "a map", std::move(notes));
  }
  bool good = true;
  std::vector<bool> seen(keys.size());
  for (const NodeEntry& entry : node.entries) {
    const auto it = std::find(keys.begin(), keys.end(), entry.key);
    if (it == keys.end()) {
      report_unknown(entry, keys, schema, reader);
      good = false;
      continue;
    }
    const auto index = static_cast<std::size_t>(it - keys.begin());
    seen[index] = true;
    good &= read_field(index, entry.value);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (required[i] && !seen[i]) good = reader.at(keys[i]).error(node.mark, "is missing");
  }
  return good;
}

}  // namespace daybreak
