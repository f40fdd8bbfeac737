#include "config/node.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace daybreak {
namespace {

template <typename Entries>
auto find_in(Entries& entries, std::string_view key) {
  return std::find_if(entries.begin(), entries.end(),
                      [key](const NodeEntry& entry) { return entry.key == key; });
}

}  // namespace

const NodeEntry* Node::find_entry(std::string_view key) const {
  const auto it = find_in(entries, key);
  return it == entries.end() ? nullptr : &*it;
}

const Node* Node::find(std::string_view key) const {
  const NodeEntry* entry = find_entry(key);
  return entry ? &entry->value : nullptr;
}

Node* Node::find(std::string_view key) {
  const auto it = find_in(entries, key);
  return it == entries.end() ? nullptr : &it->value;
}

Node& Node::set(std::string_view key, Node value) {
  const auto it = find_in(entries, key);
  if (it != entries.end()) {
    it->mark = value.mark;
    return it->value = std::move(value);
  }
  Mark key_mark = value.mark;
  entries.push_back({std::string(key), std::move(key_mark), std::move(value)});
  return entries.back().value;
}

bool Node::remove(std::string_view key) {
  const auto it = find_in(entries, key);
  if (it == entries.end()) return false;
  entries.erase(it);
  return true;
}

int Node::depth() const {
  int below = 0;
  for (const Node& item : items) below = std::max(below, item.depth());
  for (const NodeEntry& entry : entries) below = std::max(below, entry.value.depth());
  return is_list() || is_map() ? below + 1 : 0;
}

std::size_t Node::count() const {
  std::size_t total = 1;
  for (const Node& item : items) total += item.count();
  for (const NodeEntry& entry : entries) total += entry.value.count();
  return total;
}

Node Node::make_scalar(std::string text, Mark mark) {
  Node node;
  node.kind = NodeKind::scalar;
  node.text = std::move(text);
  node.mark = std::move(mark);
  return node;
}

Node Node::make_text(std::string text, Mark mark) {
  Node node = make_scalar(std::move(text), std::move(mark));
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  };
  const bool starts_like_a_word =
      !node.text.empty() && (plain(node.text[0]) && node.text[0] != '-' && node.text[0] != '.' &&
                             !(node.text[0] >= '0' && node.text[0] <= '9'));
  static constexpr std::string_view kReserved[] = {
      "null", "Null", "NULL", "true", "false", "True", "False", "TRUE", "FALSE",
      "yes",  "no",   "on",   "off",  "Yes",   "No",   "On",    "Off",  "YES",
      "NO",   "ON",   "OFF",  "y",    "n",     "Y",    "N"};
  node.quoted =
      !starts_like_a_word || !std::all_of(node.text.begin(), node.text.end(), plain) ||
      std::find(std::begin(kReserved), std::end(kReserved), node.text) != std::end(kReserved);
  return node;
}

Node Node::make_list(std::vector<Node> items, Mark mark) {
  Node node;
  node.kind = NodeKind::list;
  node.items = std::move(items);
  node.mark = std::move(mark);
  return node;
}

Node Node::make_map(Mark mark) {
  Node node;
  node.kind = NodeKind::map;
  node.mark = std::move(mark);
  return node;
}

bool same_content(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.text != b.text || a.quoted != b.quoted ||
      a.items.size() != b.items.size() || a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same_content(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key != b.entries[i].key) return false;
    if (!same_content(a.entries[i].value, b.entries[i].value)) return false;
  }
  return true;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::null:
      return "nothing";
    case NodeKind::scalar:
      return quote(node.text);
    case NodeKind::list:
      return "a list";
    case NodeKind::map:
      return "a map";
  }
  return "nothing";
}

}  // namespace daybreak
