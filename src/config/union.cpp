#include "config/union.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace daybreak {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

int read_tag(const Node& node, const std::vector<std::string>& names, const std::vector<bool>& bare,
             const Node** value, const Reader& reader) {
  *value = nullptr;
  std::string_view tag;
  const Mark* mark = &node.mark;
  if (node.is_scalar()) {
    tag = node.text;
  } else if (node.is_map() && node.entries.size() == 1) {
    tag = node.entries[0].key;
    mark = &node.entries[0].mark;
    *value = &node.entries[0].value;
  } else if (node.is_map()) {
    std::string found;
    for (const NodeEntry& entry : node.entries) {
      found += (found.empty() ? "" : ", ") + quote(entry.key);
      if (found.size() > 80) break;
    }
    reader.error(node.mark, fmt::format("must have exactly one key of {}, found {}", join(names),
                                        found.empty() ? "none" : found));
    return -1;
  } else {
    reader.wrong(node, "one of " + join(names));
    return -1;
  }
  const auto it = std::find(names.begin(), names.end(), tag);
  if (it == names.end()) {
    const auto nearest = nearest_name(tag, names);
    reader.error(*mark,
                 fmt::format("must be one of {}, found {}{}", join(names), quote(tag),
                             nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : ""));
    return -1;
  }
  const auto index = static_cast<std::size_t>(it - names.begin());
  if (!*value && !bare[index]) {
    reader.error(*mark, fmt::format("needs more than the name: write {{{}: ...}}", tag));
    return -1;
  }
  return static_cast<int>(index);
}

}  // namespace daybreak
