#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "report/png_plot.h"
#include "train/run_recorder.h"

namespace daybreak {
namespace {

struct PreviewOptions {
  std::string path;
  std::string out = "preview.png";
  int count = 64;
  int phase = 1;
};

int run_preview(const PreviewOptions& options, const CommonOptions& common) {
  SessionOptions session_options;
  session_options.threads = common.threads;
  const Session session(load_solver_or_run(options.path, common.solver_sets()), session_options);
  const int phases = static_cast<int>(session.schedule().phases().size());
  if (options.phase > phases) {
    throw ConfigError(fmt::format("--phase {}: there are {} phases", options.phase, phases));
  }
  write_png(options.out, sample_grid(session, options.phase - 1, options.count));
  fmt::print("{}\n", options.out);
  return 0;
}

}  // namespace

Command add_preview(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<PreviewOptions>();
  CLI::App* verb = add_verb(app, common, "preview", "a picture of augmented training samples");
  verb->add_option("file", options->path,
                   "SOLVER.yaml or a run folder (default: the built-in one)");
  verb->add_option("--out", options->out, "PNG to write");
  verb->add_option("--count", options->count, "samples")->check(CLI::Range(1, 4096));
  verb->add_option("--phase", options->phase, "phase whose augmentation is shown, from 1")
      ->check(CLI::Range(1, 1000));
  return {verb, [options, &common] { return run_preview(*options, common); }};
}

}  // namespace daybreak
