#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "config/network_spec.h"
#include "config/schema.h"
#include "core/text.h"

namespace daybreak {
namespace {

constexpr std::size_t kMaxLayers = 10'000;
constexpr std::size_t kMaxNameBytes = 200;

struct RepeatOptions {
  int count = 0;
  std::string name;
  Node layers;
};

const Schema<RepeatOptions>& repeat_schema() {
  static const Schema<RepeatOptions> kSchema{
      field("count", &RepeatOptions::count).in(1, 1000).required().doc("how many times"),
      field("name", &RepeatOptions::name).doc("layers are called NAME.1.LAYER, NAME.2.LAYER, ..."),
      field("layers", &RepeatOptions::layers).layer_list().required().doc("what is repeated")};
  return kSchema;
}

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

bool is_valid_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.back() != '.' && std::all_of(name.begin(), name.end(), good);
}

/// One entry of a list, taken apart but not named.
struct Entry {
  std::string type;
  std::optional<std::string> name;
  Mark name_mark;
  std::vector<std::string> from;
  Mark from_mark;
  Node options;
  Mark mark;
};

class ListParser {
 public:
  ListParser(const Node& defaults, Diagnostics& diagnostics)
      : defaults_(defaults), diagnostics_(diagnostics) {}

  std::vector<LayerNode> parse(const Node& list, const std::string& prefix) {
    std::vector<LayerNode> layers;
    expand(list, prefix, {}, layers);
    return layers;
  }

 private:
  using Scope = std::map<std::string, std::string>;  ///< name in a list -> full name

  void expand(const Node& list, const std::string& prefix, Scope scope,
              std::vector<LayerNode>& layers) {
    if (!list.is_list()) {
      diagnostics_.add(list.mark, fmt::format("layers must be a list, found {}", describe(list)));
      return;
    }
    std::vector<Entry> entries;
    for (const Node& item : list.items) {
      if (std::optional<Entry> entry = take_apart(item)) entries.push_back(std::move(*entry));
    }
    name_all(entries);
    for (const Entry& entry : entries) scope[*entry.name] = joined(prefix, *entry.name);
    for (Entry& entry : entries) {
      if (is_full(list.mark, layers)) return;
      if (entry.type == "repeat") {
        repeat(entry, prefix, scope, layers);
      } else {
        add(std::move(entry), prefix, scope, layers);
      }
    }
  }

  bool is_full(const Mark& mark, const std::vector<LayerNode>& layers) {
    if (layers.size() < kMaxLayers) return false;
    if (!full_) diagnostics_.add(mark, fmt::format("more than {} layers", kMaxLayers));
    full_ = true;
    return true;
  }

  std::optional<Entry> take_apart(const Node& item) {
    Entry entry;
    if (item.is_scalar()) {
      entry.type = item.text;
      entry.mark = item.mark;
      entry.options = Node::make_map(item.mark);
      return entry;
    }
    if (!item.is_map() || item.entries.size() != 1) {
      std::string found = describe(item);
      if (item.is_map()) found = fmt::format("a map of {} keys", item.entries.size());
      diagnostics_.add(
          item.mark,
          fmt::format("a layer must be a name or a map with one key, TYPE: {{...}}, found {}",
                      found));
      return std::nullopt;
    }
    entry.type = item.entries[0].key;
    entry.mark = item.entries[0].mark;
    entry.options = item.entries[0].value;
    if (entry.options.is_map()) {
      take_name(entry);
      if (entry.type != "repeat") take_from(entry);
    }
    return entry;
  }

  void take_name(Entry& entry) {
    const Node* name = entry.options.find("name");
    if (!name) return;
    entry.name_mark = name->mark;
    if (!name->is_scalar() || !is_valid_name(name->text)) {
      diagnostics_.add(
          name->mark,
          fmt::format(
              "a layer's name must be letters, digits, \"_\", \"-\" and \".\" inside, found {}",
              describe(*name)));
    } else if (name->text == "input") {
      diagnostics_.add(name->mark, "\"input\" is the name of the network's input, not of a layer");
    } else {
      entry.name = name->text;
    }
    entry.options.remove("name");
  }

  void take_from(Entry& entry) {
    const Node* from = entry.options.find("from");
    if (!from) return;
    entry.from_mark = from->mark;
    Reader reader(diagnostics_, {fmt::format("layer type {}", quote(entry.type)), ""}, "from");
    Rules rules;
    rules.single = true;
    rules.min_items = 1;
    rules.empty_text = false;
    ValueTraits<std::vector<std::string>>::read(*from, entry.from, reader.with(rules));
    entry.options.remove("from");
  }

  /// Gives TYPE1, TYPE2, ... to layers without a name and reports names given twice.
  void name_all(std::vector<Entry>& entries) {
    std::map<std::string, Mark> taken;
    for (Entry& entry : entries) {
      if (!entry.name) continue;
      const auto [it, is_new] = taken.emplace(*entry.name, entry.name_mark);
      if (is_new) continue;
      diagnostics_.add(entry.name_mark,
                       fmt::format("layer name {} given twice, first at {}:{}", quote(*entry.name),
                                   it->second.line, it->second.column));
      entry.name.reset();
    }
    std::map<std::string, int> count;
    for (Entry& entry : entries) {
      while (!entry.name) {
        std::string name = fmt::format("{}{}", entry.type, ++count[entry.type]);
        if (taken.emplace(name, entry.mark).second) entry.name = std::move(name);
      }
    }
  }

  void repeat(const Entry& entry, const std::string& prefix, const Scope& scope,
              std::vector<LayerNode>& layers) {
    const std::size_t errors_before = diagnostics_.size();
    const RepeatOptions options =
        repeat_schema().parse(entry.options, diagnostics_,
                              {fmt::format("layer {}", quote(*entry.name)), "(type: repeat)"});
    if (diagnostics_.size() != errors_before) return;
    for (int i = 1; i <= options.count; ++i) {
      expand(options.layers, fmt::format("{}.{}", joined(prefix, *entry.name), i), scope, layers);
      if (diagnostics_.size() != errors_before || is_full(entry.mark, layers)) return;
    }
  }

  void add(Entry entry, const std::string& prefix, const Scope& scope,
           std::vector<LayerNode>& layers) {
    LayerNode layer;
    layer.type = std::move(entry.type);
    layer.name = joined(prefix, *entry.name);
    if (!names_.insert(layer.name).second) {
      diagnostics_.add(entry.mark, fmt::format("layer name {} is given twice", quote(layer.name)));
      return;
    }
    for (const std::string& name : entry.from) {
      const auto it = scope.find(name);
      layer.from.push_back(it == scope.end() ? name : it->second);
    }
    layer.mark = entry.mark;
    layer.from_mark = entry.from_mark;
    layer.options = std::move(entry.options);
    const Node* defaults = defaults_.find(layer.type);
    if (defaults && layer.options.is_map()) {
      const Mark mark = layer.options.mark;
      layer.options = merge_nodes(*defaults, layer.options);
      layer.options.mark = mark;
    }
    layers.push_back(std::move(layer));
  }

  const Node& defaults_;
  Diagnostics& diagnostics_;
  std::set<std::string> names_;
  bool full_ = false;
};

}  // namespace

std::vector<LayerNode> parse_layers(const Node& list, const Node& defaults,
                                    Diagnostics& diagnostics, const std::string& prefix) {
  return ListParser(defaults, diagnostics).parse(list, prefix);
}

const SchemaBase& repeat_layer_schema() {
  return repeat_schema();
}

}  // namespace daybreak
