#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/bench_net.h"
#include "cli/command.h"
#include "report/text.h"
#include "train/checkpoint_file.h"
#include "train/net_table.h"
#include "train/run_folder.h"
#include "train/run_training.h"

namespace daybreak {
namespace {

struct TrainVerbOptions {
  std::string path;
  std::string run;
  std::string resume;
  std::string init;
  bool resume_given = false;
  bool dry_run = false;
  bool print_config = false;
};

// The configuration a resumed run goes on with: its own, with what --set changes.
SolverConfig resumed_config(const TrainVerbOptions& options, const CommonOptions& common,
                            const std::string& run_dir) {
  if (!options.path.empty() && options.path != run_dir) {
    throw ConfigError(
        "--resume goes on with the configuration in the run folder; give changes with "
        "--set instead of the file \"" +
        options.path + "\"");
  }
  return load_solver(run_dir + "/config.yaml", common.solver_sets());
}

// What was measured beside the plain network, in a line of its own.
void print_others(const RunSummary& summary) {
  std::string text;
  const auto add = [&](double value, const char* what) {
    if (std::isnan(value)) return;
    text += fmt::format("{}{} {}", text.empty() ? "\n  " : ", ", what, percent_text(value));
  };
  add(summary.final_ema, "averaged weights");
  add(summary.final_tta, "several views of each picture");
  add(summary.final_ema_tta, "both");
  fmt::print("{}", text);
}

void print_outcome(const TrainOutcome& outcome, const CommonOptions& common) {
  if (common.json == "-") return;
  const RunSummary& summary = outcome.summary;
  fmt::print("{} in {}", outcome.end == TrainingEnd::done ? "done" : "stopped and saved",
             duration_text(summary.seconds));
  const bool detects = summary.task == "detection";
  if (summary.best_epoch > 0 && detects) {
    fmt::print("   final mAP@0.5 {}, best {} (epoch {})", percent_text(summary.final_map50),
               percent_text(summary.best_map50), summary.best_epoch);
  } else if (summary.best_epoch > 0) {
    fmt::print("   final accuracy {}, best {} (epoch {})", percent_text(summary.final_top1),
               percent_text(summary.best_top1), summary.best_epoch);
  }
  print_others(summary);
  fmt::print("\n  {}/report.html   <- open this\n", outcome.run_dir);
  if (outcome.end == TrainingEnd::done) {
    fmt::print("next:  daybreak test {0}    daybreak {1} {0} PICTURE    daybreak init my\n",
               outcome.run_dir, detects ? "detect" : "predict");
  } else {
    fmt::print("next:  daybreak train --resume {}\n", outcome.run_dir);
  }
}

int run_train(const TrainVerbOptions& options, const CommonOptions& common) {
  TrainOptions train;
  train.run_dir = options.run;
  train.init = options.init;
  train.threads = common.threads;
  SolverConfig config;
  if (options.resume_given) {
    train.resume = true;
    if (!options.resume.empty()) train.run_dir = options.resume;
    if (train.run_dir.empty()) train.run_dir = newest_run_folder("runs");
    config = resumed_config(options, common, train.run_dir);
  } else {
    config = load_solver_or_run(options.path, common.solver_sets());
  }
  if (options.print_config) {
    std::cout << print_config(config);
    return 0;
  }
  Progress progress(stderr_output(common.quiet));
  RunLog log(progress, common.quiet     ? Verbosity::quiet
                       : common.verbose ? Verbosity::verbose
                                        : Verbosity::normal);
  if (options.dry_run) {
    SessionOptions session_options;
    session_options.threads = common.threads;
    const Session session(std::move(config), session_options);
    fmt::print("everything fits: {} steps, {} phases; nothing was trained\n",
               with_separators(session.schedule().total_steps()),
               session.schedule().phases().size());
    return 0;
  }
  const TrainOutcome outcome = run_training(std::move(config), train, progress, log);
  print_outcome(outcome, common);
  write_json_result(common, summary_json(outcome.summary));
  if (outcome.signal != 0) {
    std::cout.flush();
    std::signal(outcome.signal, SIG_DFL);
    std::raise(outcome.signal);
  }
  return 0;
}

}  // namespace

Command add_train(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TrainVerbOptions>();
  CLI::App* verb = add_verb(app, common, "train", "train a network");
  add_kernel_options(*verb, common);
  verb->add_option("file", options->path,
                   "SOLVER.yaml or RUN/config.yaml (default: a small network on Fashion-MNIST)");
  verb->add_option("--run", options->run, "run folder, a new one (default: runs/NAME-N)");
  CLI::Option* resume =
      verb->add_option("--resume", options->resume, "go on with a run (default: the newest)")
          ->expected(0, 1);
  verb->add_option("--init", options->init, "weights to start from; what does not fit is new");
  verb->add_flag("--dry-run", options->dry_run, "check configuration, data and memory only");
  verb->add_flag("--print-config", options->print_config, "print the complete configuration");
  return {verb, [options, resume, &common] {
            options->resume_given = resume->count() > 0;
            return run_train(*options, common);
          }};
}

}  // namespace daybreak
