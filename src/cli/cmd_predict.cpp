#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/model_source.h"
#include "cli/picture_list.h"
#include "core/parallel.h"
#include "report/classification_metrics.h"
#include "report/text.h"
#include "train/device.h"
#include "train/predictor.h"

namespace daybreak {
namespace {

struct PredictOptions {
  ModelSource source;
  std::vector<std::string> images;
  int top = 5;
};

int run_predict(const PredictOptions& options, const CommonOptions& common) {
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  set_compute_threads(threads);
  const std::vector<std::string> pictures = list_pictures(options.images);
  const Model model = find_model("predict", options.source, common);
  const BackendPtr backend = make_backend(common.device.empty() ? "auto" : common.device, threads);
  Predictor predictor(model.net, static_cast<int>(model.classes.size()), *backend, model.weights,
                      activation_dtype(*backend, common.precision_value()));
  auto json = nlohmann::ordered_json::array();
  for (const std::string& path : pictures) {
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
  write_json_result(common, json_text(json));
  return 0;
}

}  // namespace

Command add_predict(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<PredictOptions>();
  CLI::App* verb = add_verb(app, common, "predict", "the most probable classes of pictures");
  add_model_options(*verb, options->source);
  verb->add_option("images", options->images,
                   "pictures (JPEG or PNG), folders of them, lists (.txt, a path a line)")
      ->required();
  verb->add_option("--top", options->top, "guesses a picture")->check(CLI::Range(1, 100000));
  return {verb, [options, &common] { return run_predict(*options, common); }};
}

}  // namespace daybreak
