#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

// What a YAML file says, before it has a type: a strict tree in which every value knows its place.

namespace daybreak {

enum class NodeKind : std::uint8_t { null, scalar, list, map };

struct NodeEntry;

/// A value of a YAML file. Lists and maps own their children; maps keep the order of the file.
struct Node {
  NodeKind kind = NodeKind::null;
  Mark mark;                       ///< where the value was written ("--set KEY" for overrides)
  std::string text;                ///< scalar: the text without quotes
  bool quoted = false;             ///< scalar: written in quotes, so it is text and never a number
  std::vector<Node> items;         ///< list
  std::vector<NodeEntry> entries;  ///< map

  bool is_null() const { return kind == NodeKind::null; }
  bool is_scalar() const { return kind == NodeKind::scalar; }
  bool is_list() const { return kind == NodeKind::list; }
  bool is_map() const { return kind == NodeKind::map; }
  /// An unquoted scalar with exactly this text.
  bool is_word(std::string_view word) const { return is_scalar() && !quoted && text == word; }

  /// The value of a key of a map; null when there is none (or this is no map).
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  const NodeEntry* find_entry(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// Sets or adds a key; returns the stored value. This must be a map.
  Node& set(std::string_view key, Node value);
  /// Removes a key of a map; false when it was not there.
  bool remove(std::string_view key);

  /// Levels of lists and maps below and including this value: 0 for a scalar.
  int depth() const;
  /// Number of values in this tree.
  std::size_t count() const;

  static Node make_scalar(std::string text, Mark mark = {});
  /// Text that must stay text: quoted when printed if it could be read as something else.
  static Node make_text(std::string text, Mark mark = {});
  static Node make_list(std::vector<Node> items = {}, Mark mark = {});
  static Node make_map(Mark mark = {});
};

/// A key of a map with its place and value.
struct NodeEntry {
  std::string key;
  Mark mark;
  Node value;
};

/// Equal kinds, texts, quotes and children; places are not compared.
bool same_content(const Node& a, const Node& b);

/// For messages: `"text"`, `a list`, `a map`, `nothing`.
std::string describe(const Node& node);

}  // namespace daybreak
