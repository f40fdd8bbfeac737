#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "config/builtin.h"
#include "config/json_schema.h"
#include "config/solver_config.h"
#include "io/atomic_file.h"
#include "layers/registry.h"

namespace daybreak {
namespace {

struct InitOptions {
  std::string name = "my";
  std::string from = "fashion-mnist";
  bool schema = false;
  bool list = false;
};

void write_new(const std::string& path, std::string_view text) {
  if (std::filesystem::exists(path)) {
    throw ConfigError("\"" + path + "\" exists already; nothing was changed");
  }
  write_file_atomically(path, text);
  fmt::print("wrote {}\n", path);
}

std::string_view builtin_text(const std::string& path) {
  for (const BuiltinFile& file : builtin_files()) {
    if (file.path == path) return file.text;
  }
  std::string names;
  for (const BuiltinFile& file : builtin_files()) {
    if (file.path.rfind("cfg/solver/", 0) != 0) continue;
    const std::string_view stem = file.path.substr(11, file.path.size() - 16);
    names += fmt::format(" {}", stem);
  }
  throw ConfigError("there is no shipped solver of that name; there are:" + names);
}

// The shipped text with the paths of a copy: everything else is found inside the binary.
std::string with_builtin_paths(std::string text, const std::string& net_file) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  };
  replace("net: ../net/" + net_file, "net: " + net_file);
  replace("../../data/", "builtin:data/");
  return text;
}

int run_init(const InitOptions& options) {
  if (options.list) {
    for (const BuiltinFile& file : builtin_files()) fmt::print("{}\n", file.path);
    return 0;
  }
  if (options.schema) {
    write_new("solver.schema.json", solver_json_schema());
    write_new("net.schema.json", network_json_schema(layer_schema_entries()));
    return 0;
  }
  const std::string solver_text(builtin_text("cfg/solver/" + options.from + ".yaml"));
  const std::string key = "net: ../net/";
  const std::size_t at = solver_text.find(key);
  const std::size_t end = solver_text.find_first_of(" \n", at + key.size());
  const std::string net = solver_text.substr(at + key.size(), end - at - key.size());
  const std::string net_copy = options.name + "-net.yaml";
  std::string solver = with_builtin_paths(solver_text, net);
  solver.replace(solver.find("net: " + net), 5 + net.size(), "net: " + net_copy);
  write_new(net_copy, builtin_text("cfg/net/" + net));
  write_new(options.name + ".yaml", solver);
  fmt::print("next: daybreak train {}.yaml\n", options.name);
  return 0;
}

}  // namespace

Command add_init(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<InitOptions>();
  CLI::App* verb = add_verb(app, common, "init", "writes a commented solver and net to start from");
  verb->add_option("name", options->name, "files are NAME.yaml and NAME-net.yaml");
  verb->add_option("--from", options->from, "shipped solver to copy (--list names them)");
  verb->add_flag("--schema", options->schema, "write the JSON schemas for editors instead");
  verb->add_flag("--list", options->list, "list the shipped files");
  return {verb, [options] { return run_init(*options); }};
}

}  // namespace daybreak
