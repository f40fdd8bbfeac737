#include "config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "config/network_spec.h"
#include "config/yaml_reader.h"
#include "core/text.h"

namespace daybreak {
namespace {

constexpr std::string_view kBuiltin = "builtin:";
constexpr std::string_view kSet = "--set ";

/// Schedules of a solver: a file that gives another one than its base replaces it.
constexpr std::array<std::string_view, 5> kSchedules = {"one_cycle", "sgdr", "policy", "phases",
                                                        "lr"};

void drop_replaced_schedule(Node& base, const Node& over) {
  const auto given = std::find_if(kSchedules.begin(), kSchedules.end(),
                                  [&](std::string_view key) { return over.has(key); });
  if (given == kSchedules.end()) return;
  for (const std::string_view key : kSchedules) {
    if (key != *given) base.remove(key);
  }
  if (*given == "lr") return;
  base.remove("length");
  base.remove("momentum");
}

class Loader {
 public:
  explicit Loader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Node file(const std::string& path, const Mark& named_at) {
    std::string text;
    try {
      text = read_config_file(path);
    } catch (const ConfigError& error) {
      const Diagnostic& first = error.diagnostics().front();
      if (named_at.file.empty()) {
        diagnostics_.add(first.mark, first.text);
      } else {
        diagnostics_.add(named_at, fmt::format("{} {}", quote(path), first.text));
      }
      return Node::make_map({path, 1, 1});
    }
    return text_of(text, path);
  }

  Node text_of(const std::string& text, const std::string& path) {
    const std::size_t errors_before = diagnostics_.size();
    Node map = read_yaml(text, path, diagnostics_);
    if (!map.is_map()) {
      if (diagnostics_.size() == errors_before) {
        diagnostics_.add({path, 1, 1},
                         fmt::format("the file must be a map of keys, found {}", describe(map)));
      }
      return Node::make_map({path, 1, 1});
    }
    map.remove("$schema");
    return with_base(std::move(map), path);
  }

 private:
  Node with_base(Node map, const std::string& path) {
    const Node* named = map.find("_base_");
    if (!named) return map;
    const Mark mark = named->mark;
    if (!named->is_scalar() || named->text.empty()) {
      diagnostics_.add(mark,
                       fmt::format("\"_base_\" must be a file name, found {}", describe(*named)));
      map.remove("_base_");
      return map;
    }
    const std::string base_path = path_beside(named->text, mark);
    map.remove("_base_");
    chain_.push_back(std::filesystem::path(path).lexically_normal().string());
    if (may_load(base_path, mark)) {
      Node base = file(base_path, mark);
      drop_replaced_schedule(base, map);
      map = merge_nodes(base, map);
    }
    chain_.pop_back();
    return map;
  }

  bool may_load(const std::string& path, const Mark& mark) {
    if (std::find(chain_.begin(), chain_.end(), path) != chain_.end()) {
      std::string round;
      for (const std::string& link : chain_) round += link + " -> ";
      diagnostics_.add(mark, fmt::format("\"_base_\" files form a cycle: {}{}", round, path));
      return false;
    }
    if (chain_.size() > static_cast<std::size_t>(yaml_limits::kBases)) {
      diagnostics_.add(mark,
                       fmt::format("more than {} levels of \"_base_\" files", yaml_limits::kBases));
      return false;
    }
    return true;
  }

  Diagnostics& diagnostics_;
  std::vector<std::string> chain_;
};

void set_marks(Node& node, const Mark& mark) {
  node.mark = mark;
  for (Node& item : node.items) set_marks(item, mark);
  for (NodeEntry& entry : node.entries) {
    entry.mark = mark;
    set_marks(entry.value, mark);
  }
}

/// Splits "a.b[0].c"; false when malformed.
bool split_path(std::string_view text, std::vector<Override::Part>& parts) {
  while (true) {
    const std::size_t end = text.find_first_of(".[]");
    const std::string_view key = text.substr(0, end);
    if (key.empty()) return false;
    parts.push_back({std::string(key), 0});
    text.remove_prefix(key.size());
    while (!text.empty() && text[0] == '[') {
      const std::size_t close = text.find(']');
      if (close == std::string_view::npos) return false;
      const std::string_view digits = text.substr(1, close - 1);
      std::size_t index = 0;
      const auto [stop, code] =
          std::from_chars(digits.data(), digits.data() + digits.size(), index);
      if (digits.empty() || code != std::errc() || stop != digits.data() + digits.size())
        return false;
      parts.push_back({"", index});
      text.remove_prefix(close + 1);
    }
    if (text.empty()) return true;
    if (text[0] != '.') return false;
    text.remove_prefix(1);
  }
}

/// "a.b[0]" of the first `count` parts.
std::string path_text(const Override& change, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const Override::Part& part = change.path[i];
    text += part.key.empty() ? fmt::format("[{}]", part.index) : (i > 0 ? "." : "") + part.key;
  }
  return text;
}

/// The child that a part names, made when a map lacks it; null after an error.
Node* step_into(Node& node, const Override& change, std::size_t i, Diagnostics& diagnostics) {
  const Override::Part& part = change.path[i];
  const Mark& mark = change.value.mark;
  const std::string here = i == 0 ? "the file" : quote(path_text(change, i));
  if (part.key.empty()) {
    if (!node.is_list()) {
      diagnostics.add(mark, fmt::format("{} is no list, found {}", here, describe(node)));
      return nullptr;
    }
    if (part.index >= node.items.size()) {
      diagnostics.add(
          mark, fmt::format("{} has {} items, so the last index is {}", here, node.items.size(),
                            static_cast<long>(node.items.size()) - 1));
      return nullptr;
    }
    return &node.items[part.index];
  }
  if (node.is_null() || (node.is_scalar() && node.text == part.key)) {
    // `optimizer: sgd` and optimizer.sgd.nesterov: the name becomes a map.
    node = Node::make_map(mark);
    node.set(part.key, Node::make_map(mark));
  }
  if (!node.is_map()) {
    diagnostics.add(mark, fmt::format("{} is no map, found {}", here, describe(node)));
    return nullptr;
  }
  if (Node* child = node.find(part.key)) return child;
  if (i + 1 < change.path.size() && change.path[i + 1].key.empty()) {
    diagnostics.add(
        mark, fmt::format("there is no {} to take an item of", quote(path_text(change, i + 1))));
    return nullptr;
  }
  Node nothing;
  nothing.mark = mark;
  return &node.set(part.key, std::move(nothing));
}

std::string folder_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

}  // namespace

Node load_map(const std::string& path, Diagnostics& diagnostics, const Mark& named_at) {
  return Loader(diagnostics).file(path, named_at);
}

Node load_map_text(const std::string& text, const std::string& file, Diagnostics& diagnostics) {
  return Loader(diagnostics).text_of(text, file);
}

std::vector<Override> parse_overrides(const std::vector<std::string>& sets,
                                      Diagnostics& diagnostics) {
  std::vector<Override> result;
  for (const std::string& text : sets) {
    const std::size_t equals = text.find('=');
    Override change;
    change.key = text.substr(0, equals);
    const Mark mark{std::string(kSet) + (change.key.empty() ? text : change.key), 0, 0};
    if (equals == std::string::npos || !split_path(change.key, change.path)) {
      diagnostics.add(
          mark, "must be KEY=VALUE with a key such as optimizer.sgd.nesterov or phases[0].lr");
      continue;
    }
    const std::size_t errors_before = diagnostics.size();
    change.value = read_yaml(std::string_view(text).substr(equals + 1), mark.file, diagnostics);
    if (diagnostics.size() != errors_before) continue;
    set_marks(change.value, mark);
    result.push_back(std::move(change));
  }
  return result;
}

void apply_override(Node& root, const Override& change, Diagnostics& diagnostics,
                    std::size_t skip) {
  if (change.path.size() == 1 && skip == 0 && change.path[0].key != "lr" && root.is_map()) {
    Node over = Node::make_map();
    over.set(change.path[0].key, change.value);
    drop_replaced_schedule(root, over);
  }
  Node* node = &root;
  for (std::size_t i = skip; i < change.path.size(); ++i) {
    node = step_into(*node, change, i, diagnostics);
    if (!node) return;
  }
  *node = change.value;
}

std::string path_beside(const std::string& path, const Mark& named_at) {
  if (path.starts_with(kBuiltin)) return path;
  const std::filesystem::path given(path);
  if (given.is_absolute() || named_at.file.empty() || named_at.file.starts_with(kSet)) {
    return given.lexically_normal().string();
  }
  if (named_at.file.starts_with(kBuiltin)) {
    const std::filesystem::path folder = folder_of(named_at.file.substr(kBuiltin.size()));
    return std::string(kBuiltin) + (folder / given).lexically_normal().generic_string();
  }
  return (std::filesystem::path(folder_of(named_at.file)) / given).lexically_normal().string();
}

std::string data_path(const std::string& path, const Mark& named_at) {
  Mark place = named_at;  // a built-in file stands for the one in the working directory
  if (place.file.starts_with(kBuiltin)) place.file.erase(0, kBuiltin.size());
  return std::filesystem::absolute(path_beside(path, place)).lexically_normal().string();
}

bool expand_variables(const std::string& text, std::string& result) {
  result.clear();
  bool all_set = true;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t start = text.find("${", i);
    result += text.substr(i, start - i);
    if (start == std::string::npos) break;
    const std::size_t end = text.find('}', start);
    if (end == std::string::npos) return false;
    const std::string name = text.substr(start + 2, end - start - 2);
    const auto letter = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), letter)) return false;
    const char* value = std::getenv(name.c_str());
    all_set = all_set && value && *value;
    result += value ? value : "";
    i = end + 1;
  }
  if (!all_set) result = text;
  return true;
}

}  // namespace daybreak
