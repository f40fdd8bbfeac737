#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/share_check.h"
#include "config/spec_names.h"
#include "io/atomic_file.h"
#include "report/detection_report.h"
#include "report/progress.h"
#include "report/text.h"
#include "train/detection_evaluator.h"
#include "train/evaluator.h"
#include "train/session.h"
#include "train/trainer.h"
#include "train/weights.h"

namespace daybreak {
namespace {

struct TestOptions {
  std::string model;
  std::string weights;
  std::string split = "auto";
  double min_top1 = -1.0;
  double min_map = -1.0;
  std::string boxes_file;
  std::string tta;  ///< "": what the solver says
  bool flip = false;
};

Views views_wanted(const TestOptions& options, const Session& session) {
  if (options.flip) return Views::flip;
  for (const auto& entry : enum_names(Views{})) {
    if (options.tta == entry.name) return entry.value;
  }
  return session.solver().tta;
}

const Dataset& part_of(const Session& session, const std::string& split) {
  const DataParts& data = session.data();
  const Dataset& part = split == "train"  ? data.train
                        : split == "val"  ? data.val
                        : split == "test" ? data.test
                                          : data.evaluation();
  if (part.empty()) {
    throw ConfigError(fmt::format("this data set has no \"{}\" part", split));
  }
  return part;
}

// What both kinds of evaluation share.
struct TestRun {
  Session& session;
  std::string weights;           ///< file
  std::vector<NamedTensor> ema;  ///< the running mean in it; empty: none
  Views views = Views::none;     ///< to be measured beside the picture as it is
  const Dataset& part;
  std::string split;  ///< as it is shown
  const TestOptions& options;
  const CommonOptions& common;
};

int below(const char* what, double value, double wanted) {
  if (wanted < 0.0 || value >= wanted) return 0;
  std::cerr << fmt::format("daybreak: {} {:.4f} is below the wanted {:.4f}\n", what, value, wanted);
  return 1;
}

// "with mirrored views" and the like, a line each.
void print_others(const TestRun& run, const OtherFigures& others) {
  const char* views = run.views == Views::flip ? "mirrored pictures averaged"
                                               : "six views of each picture averaged";
  const auto line = [](double top1, const std::string& what) {
    if (!std::isnan(top1)) fmt::print("with {}: top-1 {}\n", what, percent_text(top1));
  };
  line(others.tta, views);
  line(others.ema, "averaged weights");
  line(others.ema_tta, fmt::format("averaged weights and {}", views));
}

std::string with_others(const std::string& json_text, const OtherFigures& others) {
  auto json = nlohmann::ordered_json::parse(json_text);
  const auto put = [&](const char* key, double value) {
    if (!std::isnan(value)) json[key] = value;
  };
  put("tta_top1", others.tta);
  put("ema_top1", others.ema);
  put("ema_tta_top1", others.ema_tta);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int test_classifier(const TestRun& run) {
  if (run.options.min_map >= 0.0) {
    throw ConfigError("--min-map is for detectors; a classifier takes --min-top1");
  }
  Session& session = run.session;
  Evaluator evaluator(session.executor(), session.eval_plan(), run.part, session.eval_loader());
  Progress progress(stderr_output(run.common.quiet));
  progress.begin_task("testing", run.part.size(), "img");
  EvaluateOptions evaluate_options;
  evaluate_options.progress = [&](std::int64_t done) { progress.task(done); };
  const auto measure = [&](Views views) {
    evaluate_options.views = views;
    return evaluator.evaluate(evaluate_options);
  };
  const ClassificationResult result = measure(Views::none);
  OtherFigures others;
  if (run.views != Views::none) others.tta = measure(run.views).top1;
  if (!run.ema.empty()) {
    write_weights(session.executor(), run.weights, run.ema, /*partial=*/false);
    others.ema = measure(Views::none).top1;
    if (run.views != Views::none) others.ema_tta = measure(run.views).top1;
  }
  progress.end_task();
  if (run.common.json != "-") {
    fmt::print("{}", class_table(result, run.part.classes()));
    fmt::print("{}: {} samples, loss {}, top-1 {}, top-5 {}\n", run.split,
               with_separators(result.n), metric_text(result.loss), percent_text(result.top1),
               percent_text(result.top5));
    print_others(run, others);
  }
  write_json_result(
      run.common, with_others(classification_json(result, run.part.classes(), run.split), others));
  return below("top-1", result.top1, run.options.min_top1);
}

std::string share_text(double value) {
  return value < 0.0 ? "-" : percent_text(value);
}

// Figures of classes without an object are left out.
std::string detection_json(const DetectionResult& result, const std::vector<std::string>& names,
                           const std::string& split, double ema_map50) {
  using Json = nlohmann::ordered_json;
  const auto put = [](Json& object, const char* key, double value) {
    if (value >= 0.0) object[key] = value;
  };
  const DetectionMetrics& metrics = result.metrics;
  Json json = {{"task", "detection"}, {"split", split}, {"n", metrics.pictures}};
  json["loss"] = result.loss;
  if (result.parts.known()) {
    json["loss_parts"] = {{"box", result.parts.box}, {"classes", result.parts.classes}};
    put(json["loss_parts"], "objectness", result.parts.objectness);
  }
  put(json, "map50", metrics.map50);
  put(json, "map", metrics.map);
  if (!std::isnan(ema_map50)) put(json, "ema_map50", ema_map50);
  put(json, "map75", metrics.map75);
  put(json, "map_small", metrics.map_small);
  put(json, "map_medium", metrics.map_medium);
  put(json, "map_large", metrics.map_large);
  put(json, "recall", metrics.ar100);
  put(json, "voc_map", mean_of_known(result.voc_all));
  put(json, "voc_map_11", mean_of_known(result.voc_eleven));
  json["classes"] = Json::array();
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    const ClassPrecision& one = metrics.classes[c];
    Json entry = {{"name", class_name(names, static_cast<int>(c))}, {"n", one.truths}};
    put(entry, "ap50", one.ap50);
    put(entry, "ap", one.ap);
    json["classes"].push_back(std::move(entry));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The truth as a COCO data set, and under "detections" what was found in COCO's form of results:
// what other programs need to judge a detector. Numbers are not rounded.
std::string boxes_json(const Dataset& data, const std::vector<FoundSample>& samples) {
  using Json = nlohmann::ordered_json;
  Json images = Json::array(), annotations = Json::array(), detections = Json::array();
  const auto list = [](const PixelBox& box) { return Json{box.x, box.y, box.w, box.h}; };
  for (const FoundSample& sample : samples) {
    const auto [w, h] = data.picture_size(sample.index);
    const std::int64_t id = data.picture_id(sample.index);
    images.push_back(
        {{"id", id}, {"file_name", data.name(sample.index)}, {"width", w}, {"height", h}});
    for (const TruthBox& truth : truths_of(data, sample.index)) {
      annotations.push_back({{"id", annotations.size() + 1},
                             {"image_id", id},
                             {"category_id", truth.category},
                             {"bbox", list(truth.box)},
                             {"area", truth.area > 0 ? truth.area : truth.box.w * truth.box.h},
                             {"iscrowd", truth.crowd ? 1 : 0}});
    }
    for (const Detection& found : sample.found) {
      detections.push_back({{"image_id", id},
                            {"category_id", found.category},
                            {"bbox", list(to_pixels(found.box, w, h))},
                            {"score", double{found.score}}});
    }
  }
  Json categories = Json::array();
  for (std::size_t c = 0; c < data.classes().size(); ++c) {
    categories.push_back({{"id", c}, {"name", data.classes()[c]}});
  }
  return Json{{"images", images},
              {"categories", categories},
              {"annotations", annotations},
              {"detections", detections}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

int test_detector(const TestRun& run) {
  if (run.options.min_top1 >= 0.0 || run.options.flip || !run.options.tta.empty()) {
    throw ConfigError(
        "--min-top1, --tta and --flip are for classifiers; a detector takes --min-map");
  }
  Loader loader(run.part, run.session.eval_loader());
  Progress progress(stderr_output(run.common.quiet));
  progress.begin_task("testing", run.part.size(), "img");
  DetectionEvaluateOptions options;
  options.progress = [&](std::int64_t done) { progress.task(done); };
  if (!run.options.boxes_file.empty()) options.keep_samples = run.part.size();
  const DetectionResult result =
      evaluate_detections(run.session.executor(), run.session.eval_plan(), loader, options);
  OtherFigures others;
  if (!run.ema.empty()) {
    write_weights(run.session.executor(), run.weights, run.ema, /*partial=*/false);
    options.keep_samples = 0;
    others.ema =
        evaluate_detections(run.session.executor(), run.session.eval_plan(), loader, options)
            .metrics.map50;
  }
  progress.end_task();
  if (run.common.json != "-") {
    const DetectionMetrics& metrics = result.metrics;
    fmt::print("{}", detection_table(metrics, run.part.classes()).to_string());
    fmt::print("{}: {} pictures, loss {}, mAP@0.5 {}, mAP {}\n", run.split,
               with_separators(metrics.pictures), metric_text(result.loss),
               share_text(metrics.map50), share_text(metrics.map));
    const LossParts& parts = result.parts;
    if (parts.known()) {
      const std::string objectness = std::isnan(parts.objectness)
                                         ? std::string()
                                         : ", objectness " + metric_text(parts.objectness);
      fmt::print("loss by parts: boxes {}{}, classes {}\n", metric_text(parts.box), objectness,
                 metric_text(parts.classes));
    }
    fmt::print("by VOC's rules: mAP {}, at 11 points {}\n",
               share_text(mean_of_known(result.voc_all)),
               share_text(mean_of_known(result.voc_eleven)));
    if (!std::isnan(others.ema)) {
      fmt::print("with averaged weights: mAP@0.5 {}\n", share_text(others.ema));
    }
  }
  if (!run.options.boxes_file.empty()) {
    write_file_atomically(run.options.boxes_file, boxes_json(run.part, result.samples) + "\n");
  }
  write_json_result(run.common, detection_json(result, run.part.classes(), run.split, others.ema));
  return below("mAP@0.5", result.metrics.map50, run.options.min_map);
}

int run_test(const TestOptions& options, const CommonOptions& common) {
  SolverConfig config = load_solver_or_run(options.model, common.solver_sets());
  const bool is_run = std::filesystem::is_directory(options.model);
  std::string weights = options.weights;
  if (weights.empty()) {
    if (!is_run) {
      throw ConfigError("test needs the weights: give --weights FILE, or a run folder");
    }
    weights = options.model + "/best.safetensors";
  }
  SessionOptions session_options;
  session_options.training = false;
  session_options.need_train = options.split == "train" || options.split == "val";
  session_options.threads = common.threads;
  Session session(std::move(config), session_options);
  const std::vector<NamedTensor> tensors = read_tensors(weights);
  write_weights(session.executor(), weights, tensors, /*partial=*/false);
  const std::string split =
      options.split == "auto" ? (session.data().val.empty() ? "test" : "val") : options.split;
  const TestRun run{session,
                    weights,
                    ema_weights(tensors),
                    views_wanted(options, session),
                    part_of(session, options.split),
                    split,
                    options,
                    common};
  return session.is_detector() ? test_detector(run) : test_classifier(run);
}

}  // namespace

Command add_test(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TestOptions>();
  CLI::App* verb = add_verb(app, common, "test", "evaluate on a part of the data");
  verb->add_option("model", options->model, "a run folder, or SOLVER.yaml with --weights")
      ->required();
  verb->add_option("--weights", options->weights, "safetensors file (default: the run's best)");
  verb->add_option("--split", options->split, "train, val or test (default: val, else test)")
      ->check(CLI::IsMember({"auto", "train", "val", "test"}));
  verb->add_option("--min-top1", options->min_top1, "exit 1 when top-1 is below this share")
      ->check(share_check());
  verb->add_option("--min-map", options->min_map, "exit 1 when mAP@0.5 is below this share")
      ->check(share_check());
  verb->add_option("--boxes", options->boxes_file,
                   "write the true boxes and those found to FILE, in COCO's forms");
  auto* tta = verb->add_option("--tta", options->tta,
                               "also report the average over views of each picture: flip, shift or "
                               "none (default: as the solver says)");
  tta->check(CLI::IsMember({"none", "flip", "shift"}));
  verb->add_flag("--flip", options->flip, "the same as --tta flip")->excludes(tta);
  return {verb, [options, &common] { return run_test(*options, common); }};
}

}  // namespace daybreak
