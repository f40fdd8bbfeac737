#include "config/solver_config.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "config/resolve.h"
#include "config/solver_schema.h"
#include "config/yaml_writer.h"
#include "core/text.h"

namespace daybreak {
namespace {

std::string stem_of(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

/// A map that is written inline or in a file named here; `path` is set when it is a file.
Node inline_or_file(const Node& node, std::string& path, Diagnostics& diagnostics) {
  if (!node.is_scalar()) return node;
  path = path_beside(node.text, node.mark);
  return load_map(path, diagnostics, node.mark);
}

class SolverLoader {
 public:
  SolverLoader(std::string path, const std::vector<std::string>& sets) : path_(std::move(path)) {
    overrides_ = parse_overrides(sets, diagnostics_);
  }

  Diagnostics& diagnostics() { return diagnostics_; }

  SolverConfig load(Node map) {
    apply(map, "", 0);
    for (const char* key : {"net", "data"}) replace_whole(map, key);
    SolverFile file = solver_schema().parse(map, diagnostics_);
    file.mark = map.mark;
    if (file.name.empty()) file.name = stem_of(path_);
    check_recipe(file.recipe);
    SolverConfig config;
    config.path = path_;
    load_net(map, file, config);
    load_data(map, file);
    read_schedule({file.one_cycle, file.sgdr, file.policy_node, file.phases_node, file.lr,
                   file.length, file.momentum},
                  map.mark, file, diagnostics_);
    config.resolved = std::move(map);
    config.spec = std::move(file);
    diagnostics_.throw_if_any();
    return config;
  }

 private:
  static bool reaches_into(const Override& change) {
    return change.path.size() > 1 && (change.path[0].key == "net" || change.path[0].key == "data");
  }

  /// Overrides of the file itself (`key` empty), or of the map under `key`.
  void apply(Node& map, const std::string& key, std::size_t skip) {
    for (const Override& change : overrides_) {
      const bool mine =
          key.empty() ? !reaches_into(change) : reaches_into(change) && change.path[0].key == key;
      if (mine) apply_override(map, change, diagnostics_, skip);
    }
  }

  /// `--set net.x=1` without a `net` in the file still needs something to reach into.
  void replace_whole(Node& map, const std::string& key) {
    if (map.has(key)) return;
    for (const Override& change : overrides_) {
      if (!reaches_into(change) || change.path[0].key != key) continue;
      map.set(key, Node::make_map(change.value.mark));
      return;
    }
  }

  void check_recipe(const Node& recipe) {
    if (recipe.mark.file.empty() && recipe.is_null()) return;
    if (recipe.is_scalar() && recipe.text == "supervised") return;
    const bool named = recipe.is_map() && recipe.entries.size() == 1;
    const std::string found = named ? quote(recipe.entries[0].key) : describe(recipe);
    diagnostics_.add(
        recipe.mark,
        fmt::format("\"recipe\" must be supervised, found {} (other recipes are not available yet)",
                    found));
  }

  void load_net(Node& map, SolverFile& file, SolverConfig& config) {
    Node* named = map.find("net");
    if (!named) return;
    if (!named->is_scalar() && !named->is_map()) {
      Reader(diagnostics_, {}, "net").wrong(*named, "a file name or a map");
      return;
    }
    const std::size_t errors_before = diagnostics_.size();
    Node net = inline_or_file(*named, file.net_path, diagnostics_);
    if (diagnostics_.size() != errors_before && net.entries.empty()) return;
    apply(net, "net", 1);
    config.net = parse_network(net, diagnostics_);
    if (config.net.name.empty())
      config.net.name = file.net_path.empty() ? file.name : stem_of(file.net_path);
    *named = std::move(net);
  }

  void load_data(Node& map, SolverFile& file) {
    Node* named = map.find("data");
    if (!named) return;
    if (named->is_scalar()) {
      Node whole = Node::make_map(named->mark);
      whole.set("descriptor", *named);
      *named = std::move(whole);
    }
    std::string path;
    if (const Node* descriptor = named->find("descriptor"); descriptor && descriptor->is_scalar()) {
      const std::size_t errors_before = diagnostics_.size();
      const Node base = inline_or_file(*descriptor, path, diagnostics_);
      if (diagnostics_.size() != errors_before && base.entries.empty()) return;
      if (const Node* again = base.find("descriptor")) {
        diagnostics_.add(again->mark, "a descriptor cannot name another one (use \"_base_\")");
        return;
      }
      const Mark mark = named->mark;
      named->remove("descriptor");
      *named = merge_nodes(base, *named);
      named->mark = mark;
    }
    apply(*named, "data", 1);
    DataFile data;
    const bool good =
        config_schema(Type<DataFile>{}).read(*named, data, Reader(diagnostics_, {}, "data"));
    if (good && data.sources.empty()) {
      diagnostics_.add(named->mark, "\"data\" needs \"sources\" or a \"descriptor\" that has them");
    }
    data.mark = named->mark;
    if (data.name.empty()) data.name = path.empty() ? file.name : stem_of(path);
    static_cast<SolverSpec&>(file).data = std::move(data);
  }

  std::string path_;
  Diagnostics diagnostics_;
  std::vector<Override> overrides_;
};

NetworkSpec network_of(Node map, const std::string& path, const std::vector<std::string>& sets,
                       Diagnostics& diagnostics) {
  if (map.entries.empty()) diagnostics.throw_if_any();
  for (const Override& change : parse_overrides(sets, diagnostics))
    apply_override(map, change, diagnostics);
  NetworkSpec network = parse_network(map, diagnostics);
  if (network.name.empty()) network.name = stem_of(path);
  diagnostics.throw_if_any();
  return network;
}

std::string header() {
  return "# Everything resolved; `daybreak train` with this file repeats the run.\n";
}

}  // namespace

SolverConfig load_solver(const std::string& path, const std::vector<std::string>& sets) {
  SolverLoader loader(path, sets);
  Node map = load_map(path, loader.diagnostics());
  if (map.entries.empty()) loader.diagnostics().throw_if_any();
  return loader.load(std::move(map));
}

SolverConfig load_solver_text(const std::string& text, const std::string& file,
                              const std::vector<std::string>& sets) {
  SolverLoader loader(file, sets);
  Node map = load_map_text(text, file, loader.diagnostics());
  if (map.entries.empty()) loader.diagnostics().throw_if_any();
  return loader.load(std::move(map));
}

NetworkSpec load_network(const std::string& path, const std::vector<std::string>& sets) {
  Diagnostics diagnostics;
  return network_of(load_map(path, diagnostics), path, sets, diagnostics);
}

NetworkSpec load_network_text(const std::string& text, const std::string& file,
                              const std::vector<std::string>& sets) {
  Diagnostics diagnostics;
  return network_of(load_map_text(text, file, diagnostics), file, sets, diagnostics);
}

DataSpec load_data(const std::string& path, const std::vector<std::string>& sets) {
  Diagnostics diagnostics;
  Node map = load_map(path, diagnostics);
  if (map.entries.empty()) diagnostics.throw_if_any();
  for (const Override& change : parse_overrides(sets, diagnostics)) {
    apply_override(map, change, diagnostics);
  }
  DataFile data;
  config_schema(Type<DataFile>{}).read(map, data, Reader(diagnostics, {}));
  diagnostics.throw_if_any();
  data.mark = map.mark;
  if (data.name.empty()) data.name = stem_of(path);
  return data;
}

bool is_data_file(const std::string& path) {
  if (std::filesystem::is_directory(path)) return false;
  Diagnostics diagnostics;
  const Node map = load_map(path, diagnostics);
  diagnostics.throw_if_any();
  return map.has("sources");
}

bool is_network_file(const std::string& path) {
  Diagnostics diagnostics;
  const Node map = load_map(path, diagnostics);
  diagnostics.throw_if_any();
  return map.has("layers");
}

std::string print_config(const SolverConfig& config) {
  SolverFile file;
  static_cast<SolverSpec&>(file) = config.spec;
  file.recipe = Node::make_scalar("supervised");
  file.net = write_network(config.net);
  DataFile data;
  static_cast<DataSpec&>(data) = config.spec.data;
  file.SolverFile::data = config_schema(Type<DataFile>{}).write(data);
  file.SolverFile::data.remove("descriptor");
  if (config.spec.policy.kind != PolicyKind::none) {
    file.policy_node = ValueTraits<PolicySpec>::write(config.spec.policy, {});
  } else {
    file.phases_node = write_phases(config.spec.phases);
  }
  return header() + to_yaml(solver_schema().write(file));
}

std::string print_network(const NetworkSpec& network) {
  return to_yaml(write_network(network));
}

}  // namespace daybreak
