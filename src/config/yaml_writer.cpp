#include "config/yaml_writer.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace daybreak {
namespace {

constexpr std::size_t kLineWidth = 100;

bool plain_safe(std::string_view text) {
  if (text.empty() || text == "~" || text == "-" || text == "<<") return false;
  const auto safe = [](char raw) {
    const auto c = static_cast<unsigned char>(raw);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '.' || c == '/';
  };
  if (text.substr(0, 3) == "---" || text.substr(0, 3) == "...") return false;
  return std::all_of(text.begin(), text.end(), safe) && text != "null" && text != "Null" &&
         text != "NULL";
}

/// Double-quoted YAML: backslash escapes for what a reader would not take as it is.
std::string escaped(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string scalar_text(const std::string& text, bool quoted_before) {
  return !quoted_before && plain_safe(text) ? text : escaped(text);
}

std::string key_text(const std::string& key) {
  return scalar_text(key, false);
}

void append_flow(const Node& node, std::string& out) {
  switch (node.kind) {
    case NodeKind::null:
      out += "~";
      return;
    case NodeKind::scalar:
      out += scalar_text(node.text, node.quoted);
      return;
    case NodeKind::list:
      out += "[";
      for (std::size_t i = 0; i < node.items.size(); ++i) {
        if (i > 0) out += ", ";
        append_flow(node.items[i], out);
      }
      out += "]";
      return;
    case NodeKind::map:
      out += "{";
      for (std::size_t i = 0; i < node.entries.size(); ++i) {
        if (i > 0) out += ", ";
        out += key_text(node.entries[i].key) + ": ";
        append_flow(node.entries[i].value, out);
      }
      out += "}";
      return;
  }
}

/// `prefix` is what already stands on the line; `indent` is the column of nested lines.
void append_block(const Node& node, std::size_t indent, std::size_t used, std::string& out) {
  const std::string flow = to_yaml_flow(node);
  const bool nested =
      (node.is_list() && !node.items.empty()) || (node.is_map() && !node.entries.empty());
  if (!nested || (indent > 0 && used + flow.size() <= kLineWidth)) {
    out += (used > 0 ? " " : "") + flow + "\n";
    return;
  }
  const std::string pad(indent, ' ');
  if (used > 0) out += "\n";
  if (node.is_list()) {
    for (const Node& item : node.items) {
      const std::string line = to_yaml_flow(item);
      const bool one_key = item.is_map() && item.entries.size() == 1;
      if (indent + 2 + line.size() <= kLineWidth && !one_key) {
        out += pad + "- " + line + "\n";
      } else if (one_key) {
        const std::string head = pad + "- " + key_text(item.entries[0].key) + ":";
        out += head;
        append_block(item.entries[0].value, indent + 4, head.size(), out);
      } else {
        out += pad + "-";
        append_block(item, indent + 2, pad.size() + 1, out);
      }
    }
    return;
  }
  for (const NodeEntry& entry : node.entries) {
    const std::string head = pad + key_text(entry.key) + ":";
    out += head;
    append_block(entry.value, indent + 2, head.size(), out);
  }
}

}  // namespace

std::string to_yaml_flow(const Node& node) {
  std::string out;
  append_flow(node, out);
  return out;
}

std::string to_yaml(const Node& node) {
  std::string out;
  append_block(node, 0, 0, out);
  return out;
}

}  // namespace daybreak
