#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/class_names.h"
#include "cli/command.h"
#include "core/parallel.h"
#include "report/classification_metrics.h"
#include "report/text.h"
#include "train/device.h"
#include "train/predictor.h"
#include "train/session.h"

namespace daybreak {
namespace {

struct PredictOptions {
  std::string model;
  std::vector<std::string> images;
  std::string weights;
  std::string classes;
  int top = 5;
};

// A network with its weights and the names of its classes.
struct Model {
  NetworkSpec net;
  std::string weights;
  std::vector<std::string> classes;
};

Model find_model(const PredictOptions& options, const CommonOptions& common) {
  Model model;
  model.weights = options.weights;
  if (std::filesystem::is_directory(options.model)) {
    const SolverConfig config = load_solver_or_run(options.model, common.solver_sets());
    model.net = config.net;
    model.classes = config.spec.data.classes;
    if (model.weights.empty()) model.weights = options.model + "/best.safetensors";
  } else {
    model.net = load_network(options.model, common.sets);
    model.classes = model.net.classes;
    if (model.weights.empty()) {
      throw ConfigError("predict needs the weights of \"" + options.model +
                        "\": give --weights FILE, or a run folder instead of the network");
    }
  }
  if (!options.classes.empty()) model.classes = read_class_names(options.classes);
  return model;
}

int run_predict(const PredictOptions& options, const CommonOptions& common) {
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  set_compute_threads(threads);
  const Model model = find_model(options, common);
  const BackendPtr backend = make_backend(common.device.empty() ? "auto" : common.device, threads);
  Predictor predictor(model.net, static_cast<int>(model.classes.size()), *backend, model.weights,
                      activation_dtype(*backend, common.precision_value()));
  auto json = nlohmann::ordered_json::array();
  for (const std::string& path : options.images) {
    const std::vector<Guess> guesses = predictor.predict(load_image(path), options.top);
    auto top = nlohmann::ordered_json::array();
    if (common.json != "-") fmt::print("{}\n", path);
    for (const Guess& guess : guesses) {
      const std::string name = class_name(model.classes, guess.class_index);
      top.push_back({{"class_index", guess.class_index},
                     {"class", name},
                     {"probability", guess.probability}});
      if (common.json != "-") {
        fmt::print("  {:>8}  {}\n", percent_text(guess.probability), name);
      }
    }
    json.push_back({{"image", path}, {"top", std::move(top)}});
  }
  write_json_result(common, json.dump());
  return 0;
}

}  // namespace

Command add_predict(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<PredictOptions>();
  CLI::App* verb = add_verb(app, common, "predict", "the most probable classes of pictures");
  verb->add_option("model", options->model, "a run folder, or NET.yaml with --weights")->required();
  verb->add_option("images", options->images, "pictures (JPEG or PNG)")->required();
  verb->add_option("--weights", options->weights, "safetensors file (default: the run's best)");
  verb->add_option("--classes", options->classes, "text file with a class name a line");
  verb->add_option("--top", options->top, "guesses a picture")->check(CLI::Range(1, 100000));
  return {verb, [options, &common] { return run_predict(*options, common); }};
}

}  // namespace daybreak
