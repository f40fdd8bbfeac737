#include <algorithm>
#include <array>
#include <string_view>

#include "config/network_spec.h"

namespace daybreak {
namespace {

/// Keys whose value names one of several choices.
bool names_a_choice(std::string_view key) {
  constexpr std::array<std::string_view, 5> kKeys = {"act", "norm", "init", "optimizer", "policy"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end() || key.ends_with("_init");
}

bool other_choice(std::string_view key, const Node& base, const Node& over) {
  return names_a_choice(key) && base.is_map() && over.is_map() && over.entries.size() == 1 &&
         !base.has(over.entries[0].key);
}

}  // namespace

Node merge_nodes(const Node& base, const Node& over) {
  if (!base.is_map() || !over.is_map()) return over;
  Node result = base;
  result.mark = over.mark;
  for (const NodeEntry& entry : over.entries) {
    Node* old = result.find(entry.key);
    if (!old) {
      result.entries.push_back(entry);
      continue;
    }
    Node merged =
        other_choice(entry.key, *old, entry.value) ? entry.value : merge_nodes(*old, entry.value);
    *old = std::move(merged);
    for (NodeEntry& kept : result.entries) {
      if (kept.key == entry.key) kept.mark = entry.mark;
    }
  }
  return result;
}

}  // namespace daybreak
