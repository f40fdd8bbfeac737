#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/class_names.h"
#include "cli/command.h"
#include "cli/json_text.h"
#include "config/yaml_writer.h"
#include "interop/darknet_import.h"
#include "interop/darknet_new_heads.h"
#include "io/atomic_file.h"
#include "train/checkpoint_file.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

struct ImportOptions {
  std::string format;
  std::string cfg;
  std::string weights;
  std::string out;
  std::string dialect = "ab";
  std::string until;
  std::string names;
  bool new_heads = false;
};

DarknetDialect dialect_of(const std::string& name) {
  for (const DarknetDialect dialect :
       {DarknetDialect::pj, DarknetDialect::ab, DarknetDialect::hk}) {
    if (name == to_string(dialect)) return dialect;
  }
  throw ConfigError("--dialect must be pj, ab or hk, found \"" + name + "\"");
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw DeviceError(path + ": cannot make the folder: " + error.message());
}

// Class names from --names, or from the only *.names file beside the cfg that has as many lines as
// the heads have classes.
std::vector<std::string> find_names(const ImportOptions& options, int classes, std::string* file) {
  if (options.names == "none" || classes == 0) return {};
  if (!options.names.empty()) {
    *file = options.names;
    std::vector<std::string> names = read_class_names(options.names);
    if (static_cast<int>(names.size()) != classes) {
      throw DataError(options.names, fmt::format("{} names, but the network has {} classes",
                                                 names.size(), classes));
    }
    return names;
  }
  std::vector<std::string> found;
  fs::path folder = fs::path(options.cfg).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (entry.path().extension() != ".names" || !entry.is_regular_file(ignored)) continue;
    std::vector<std::string> names = read_class_names(entry.path().string());
    if (static_cast<int>(names.size()) != classes) continue;
    if (!found.empty()) return {};  // two that fit: not for us to choose
    found = std::move(names);
    *file = entry.path().string();
  }
  return found;
}

std::string header(const DarknetImport& import, const ImportOptions& options) {
  std::string text = fmt::format(
      "# Imported by daybreak from {} and {}\n# (dialect {}, version {}.{}.{}, {} pictures "
      "seen).\n",
      fs::path(options.cfg).filename().string(), fs::path(options.weights).filename().string(),
      options.dialect, import.major, import.minor, import.revision, import.seen);
  if (import.net.dropped.empty()) return text;
  text += "# Keys that only matter in training and have no counterpart here:\n";
  for (const std::string& line : import.net.dropped) text += "#   " + line + "\n";
  return text;
}

std::string solver_text(const DarknetImport& import, const std::string& name) {
  Node solver = Node::make_map();
  solver.set("net", Node::make_text(name + ".yaml"));
  if (!import.tensors.empty()) solver.set("init", Node::make_text("weights.safetensors"));
  for (const NodeEntry& entry : import.net.solver.entries) solver.set(entry.key, entry.value);
  std::string text =
      "# To train the network further: name the pictures and their labels, then daybreak train.\n"
      "# data: {descriptor: DATA.yaml}\n" +
      to_yaml(solver);
  if (!import.net.solver.has("policy")) {
    text +=
        "# The learning rate's policy has no counterpart here; for example:\n"
        "# one_cycle: {length: 30e, lr: 0.01}\n";
  }
  return text;
}

void write_files(const DarknetImport& import, const ImportOptions& options,
                 const std::vector<std::string>& names) {
  const std::string name = fs::path(options.cfg).stem().string();
  make_folder(options.out);
  Node network = import.net.network;
  if (!names.empty()) {
    Node list = Node::make_list();
    for (const std::string& text : names) list.items.push_back(Node::make_text(text));
    network.set("classes", std::move(list));
  }
  std::vector<NamedTensor> tensors;
  for (const ImportedTensor& tensor : import.tensors) {
    tensors.push_back({tensor.name, tensor.dims, tensor.values});
  }
  save_tensors(options.out + "/weights.safetensors", tensors,
               {{"format", "daybreak-weights 1"},
                {"source", "darknet"},
                {"dialect", options.dialect},
                {"seen", std::to_string(import.seen)}});
  write_file_atomically(options.out + "/" + name + "-solver.yaml", solver_text(import, name));
  write_file_atomically(options.out + "/" + name + ".yaml",
                        header(import, options) + to_yaml(network));
}

int run_import(const ImportOptions& options, const CommonOptions& common) {
  const DarknetDialect dialect = dialect_of(options.dialect);
  DarknetImport import = import_darknet(options.cfg, options.weights, dialect, options.until);
  if (options.new_heads) renew_heads(import);
  std::string names_file;
  const std::vector<std::string> names = find_names(options, import.net.classes, &names_file);
  write_files(import, options, names);
  const std::string net = options.out + "/" + fs::path(options.cfg).stem().string() + ".yaml";
  if (common.json != "-") {
    fmt::print("{}: {} layers, dialect {}\n", net, import.net.layers, options.dialect);
    fmt::print("{}/weights.safetensors: {} tensors, {} numbers, every byte of {} used\n",
               options.out, import.tensors.size(), import.parameters, options.weights);
    if (options.new_heads) {
      fmt::print("  heads start anew, with the classes of the data they are trained on\n");
    }
    if (import.layers_filled < import.net.layers) {
      fmt::print("  layers {} to {} have no weights: --until {}\n", import.layers_filled,
                 import.net.layers - 1, options.until);
    }
    if (!names.empty()) {
      fmt::print("  {} class names from {}{}\n", names.size(), names_file,
                 options.names.empty() ? " (--names FILE or none to change that)" : "");
    }
    if (!import.net.dropped.empty()) {
      fmt::print("  {} training keys dropped, listed in {}\n", import.net.dropped.size(), net);
    }
  }
  const nlohmann::ordered_json json = {{"net", net},
                                       {"weights", options.out + "/weights.safetensors"},
                                       {"dialect", options.dialect},
                                       {"layers", import.net.layers},
                                       {"layers_filled", import.layers_filled},
                                       {"params", import.parameters},
                                       {"seen", import.seen},
                                       {"classes", import.net.classes},
                                       {"dropped", import.net.dropped}};
  write_json_result(common, json_text(json));
  return 0;
}

}  // namespace

Command add_import(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb =
      add_verb(app, common, "import", "a network of another program, with its weights");
  verb->add_option("format", options->format, "darknet")
      ->required()
      ->check(CLI::IsMember({"darknet"}));
  verb->add_option("cfg", options->cfg, "the network: FILE.cfg")->required();
  verb->add_option("weights", options->weights, "its weights: FILE.weights")->required();
  verb->add_option("--out", options->out, "folder for NET.yaml and weights.safetensors")
      ->required();
  verb->add_option("--dialect", options->dialect,
                   "whose Darknet: ab (AlexeyAB, default), pj (pjreddie), hk (hank-ai)");
  verb->add_option("--until", options->until,
                   "the weights are those of the first layers only: 74 for darknet53.conv.74");
  verb->add_option("--names", options->names,
                   "text file with a class name a line; none: numbers only");
  verb->add_flag("--new-heads", options->new_heads,
                 "leave out the last convolutions: to train on other classes");
  return {verb, [options, &common] { return run_import(*options, common); }};
}

}  // namespace daybreak
