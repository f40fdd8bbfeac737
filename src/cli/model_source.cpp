#include "cli/model_source.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "cli/class_names.h"
#include "core/error.h"
#include "train/session.h"

namespace daybreak {

namespace fs = std::filesystem;

void add_model_options(CLI::App& verb, ModelSource& source) {
  verb.add_option("model", source.model, "a run folder, or NET.yaml with --weights")->required();
  verb.add_option("--weights", source.weights,
                  "safetensors file (default: the run's best, or weights.safetensors beside NET)");
  verb.add_option("--classes", source.classes, "text file with a class name a line");
}

Model find_model(const std::string& verb, const ModelSource& source, const CommonOptions& common) {
  if (source.model.ends_with(".cfg") || source.model.ends_with(".weights")) {
    throw ConfigError("\"" + source.model +
                      "\" is a file of Darknet's: first daybreak import darknet CFG WEIGHTS --out "
                      "DIR, then give DIR/NET.yaml");
  }
  Model model;
  model.weights = source.weights;
  if (fs::is_directory(source.model)) {
    const SolverConfig config = load_solver_or_run(source.model, common.solver_sets());
    model.net = config.net;
    model.classes = config.spec.data.classes;
    if (model.weights.empty()) model.weights = source.model + "/best.safetensors";
  } else {
    model.net = load_network(source.model, common.sets);
    model.classes = model.net.classes;
    const fs::path beside = fs::path(source.model).parent_path() / "weights.safetensors";
    if (model.weights.empty() && fs::exists(beside)) model.weights = beside.string();
    if (model.weights.empty()) {
      throw ConfigError(verb + " needs the weights of \"" + source.model +
                        "\": give --weights FILE, or a run folder instead of the network");
    }
  }
  if (!source.classes.empty()) model.classes = read_class_names(source.classes);
  return model;
}

}  // namespace daybreak
