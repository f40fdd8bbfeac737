#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "report/progress.h"
#include "report/text.h"
#include "train/evaluator.h"
#include "train/session.h"
#include "train/weights.h"

namespace daybreak {
namespace {

struct TestOptions {
  std::string model;
  std::string weights;
  std::string split = "auto";
  double min_top1 = -1.0;
  bool flip = false;
};

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
  load_weights(session.executor(), weights, /*partial=*/false);
  const Dataset& part = part_of(session, options.split);
  Loader loader(part, session.eval_loader());
  Progress progress(stderr_output(common.quiet));
  progress.begin_task("testing", part.size(), "img");
  EvaluateOptions evaluate_options;
  evaluate_options.progress = [&](std::int64_t done) { progress.task(done); };
  const ClassificationResult result =
      evaluate(session.executor(), session.eval_plan(), loader, evaluate_options);
  ClassificationResult flipped;
  if (options.flip) {
    evaluate_options.flip = true;
    flipped = evaluate(session.executor(), session.eval_plan(), loader, evaluate_options);
  }
  progress.end_task();
  const std::string split =
      options.split == "auto" ? (session.data().val.empty() ? "test" : "val") : options.split;
  if (common.json != "-") {
    fmt::print("{}", class_table(result, part.classes()));
    fmt::print("{}: {} samples, loss {}, top-1 {}, top-5 {}\n", split, with_separators(result.n),
               metric_text(result.loss), percent_text(result.top1), percent_text(result.top5));
    if (options.flip) {
      fmt::print("with mirrored pictures averaged: top-1 {}\n", percent_text(flipped.top1));
    }
  }
  write_json_result(common, classification_json(result, part.classes(), split));
  if (options.min_top1 >= 0.0 && result.top1 < options.min_top1) {
    std::cerr << fmt::format("daybreak: top-1 {:.4f} is below the wanted {:.4f}\n", result.top1,
                             options.min_top1);
    return 1;
  }
  return 0;
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
      ->check(CLI::Range(0.0, 1.0));
  verb->add_flag("--flip", options->flip, "also report the average over mirrored pictures");
  return {verb, [options, &common] { return run_test(*options, common); }};
}

}  // namespace daybreak
