#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/text.h"
#include "report/png_plot.h"
#include "report/progress.h"
#include "report/svg_plot.h"
#include "train/lr_find.h"
#include "train/weights.h"

namespace daybreak {
namespace {

struct LrFindOptions {
  std::string path;
  std::string init;
  std::string out = "lr_find";
  LrRangeOptions range;
  bool apply = false;
};

using Named = std::pair<const char*, const LrSuggestion*>;

std::vector<Named> named(const LrSuggestions& s) {
  return {{"valley", &s.valley}, {"steep", &s.steep}, {"minimum", &s.minimum}, {"slide", &s.slide}};
}

Plot plot_of(const LrFindResult& result) {
  Plot plot;
  plot.title = "loss over learning rate";
  plot.x.label = "learning rate";
  plot.x.scale = result.record.options().linear ? Scale::linear : Scale::log;
  plot.y.label = "loss";
  const auto& lr = result.record.lr();
  PlotSeries raw{"loss", {lr.begin(), lr.end()}, {}},
      smooth{"smoothed", {lr.begin(), lr.end()}, {}};
  raw.y.assign(result.record.raw().begin(), result.record.raw().end());
  raw.faint = true;
  smooth.y.assign(result.record.smoothed().begin(), result.record.smoothed().end());
  plot.series = {raw, smooth};
  for (const auto& [name, suggestion] : named(result.suggestions)) {
    if (!suggestion->lr) continue;
    PlotMarker marker;
    marker.x = *suggestion->lr;
    marker.label = name;
    marker.y = result.record.smoothed()[static_cast<std::size_t>(suggestion->point)];
    plot.markers.push_back(marker);
  }
  return plot;
}

std::string json_of(const LrFindResult& result) {
  nlohmann::ordered_json json, suggestion = nlohmann::ordered_json::object();
  for (const auto& [name, found] : named(result.suggestions)) {
    if (found->lr) suggestion[name] = *found->lr;
  }
  json["suggestion"] = suggestion;
  auto points = nlohmann::ordered_json::array();
  for (int i = 0; i < result.record.points(); ++i) {
    points.push_back({result.record.lr()[static_cast<std::size_t>(i)],
                      result.record.smoothed()[static_cast<std::size_t>(i)]});
  }
  json["points"] = std::move(points);
  if (!result.note.empty()) json["note"] = result.note;
  return json.dump();
}

void print_result(const LrFindResult& result, const LrFindOptions& options) {
  if (!result.note.empty()) fmt::print("{}\n", result.note);
  for (const auto& [name, suggestion] : named(result.suggestions)) {
    if (suggestion->lr) {
      fmt::print("{:<9}{:.3g}\n", name, *suggestion->lr);
    } else {
      fmt::print("{:<9}none: {}\n", name, suggestion->reason);
    }
  }
  if (result.suggestions.valley.lr) {
    fmt::print("suggested lr {:.3g} (valley)\n", *result.suggestions.valley.lr);
  }
  fmt::print("plot: {0}.svg, {0}.png\n", options.out);
}

int run_lr_find(const LrFindOptions& options, const CommonOptions& common) {
  check_lr_range(options.range);
  SessionOptions session_options;
  session_options.threads = common.threads;
  Session session(load_solver_or_run(options.path, common.solver_sets()), session_options);
  const std::string init = options.init.empty() ? session.solver().init : options.init;
  if (!init.empty()) load_weights(session.executor(), init, /*partial=*/true);
  Progress progress(stderr_output(common.quiet));
  progress.begin_task("lr_find", options.range.steps, "steps");
  const LrFindResult result =
      find_lr(session, options.range, [&](int done) { progress.task(done); });
  progress.end_task();
  const Plot plot = plot_of(result);
  write_svg_plot(options.out + ".svg", plot);
  write_png(options.out + ".png", plot_picture({plot}, 1));
  if (common.json != "-") print_result(result, options);
  write_json_result(common, json_of(result));
  if (result.record.enough()) return 0;
  std::cerr << fmt::format(
      "daybreak: error: only {} points before the loss stopped being finite; "
      "try a smaller --start\n",
      result.record.points());
  return 3;
}

}  // namespace

Command add_lr_find(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<LrFindOptions>();
  CLI::App* verb =
      add_verb(app, common, "lr_find", "learning-rate range test with plot and suggestions");
  verb->add_option("file", options->path, "SOLVER.yaml (default: the built-in one)");
  verb->add_option("--init", options->init, "weights to start from");
  verb->add_option("--out", options->out, "path of the plot without extension");
  verb->add_option("--start", options->range.start, "first learning rate");
  verb->add_option("--end", options->range.end, "last learning rate (never reached)");
  verb->add_option("--steps", options->range.steps, "steps")->check(CLI::Range(1, 100000));
  verb->add_flag("--linear", options->range.linear, "grow linearly instead of exponentially");
  verb->add_option("--stop-factor", options->range.stop_factor,
                   "stop when the smoothed loss exceeds this times its best");
  return {verb, [options, &common] { return run_lr_find(*options, common); }};
}

}  // namespace daybreak
