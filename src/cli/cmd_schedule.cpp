#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "data/dataset.h"
#include "report/png_plot.h"
#include "report/svg_plot.h"
#include "report/table.h"
#include "report/text.h"
#include "train/schedule.h"

namespace daybreak {
namespace {

struct ScheduleOptions {
  std::string path;
  std::string out;
  std::int64_t samples = 0;
};

// lr and momentum over the steps, thinned.
std::vector<Plot> plots_of(const Schedule& schedule) {
  Plot lr, momentum;
  lr.title = "learning rate";
  momentum.title = "momentum";
  PlotSeries rates{"lr", {}, {}}, moments{"momentum", {}, {}};
  const std::int64_t total = schedule.total_steps();
  const std::int64_t stride = std::max<std::int64_t>(1, total / 1000);
  for (std::int64_t step = 0; step < total; step += step + stride < total ? stride : 1) {
    const Knobs knobs = schedule.at(step);
    rates.x.push_back(static_cast<double>(step));
    rates.y.push_back(knobs.lr);
    moments.x.push_back(static_cast<double>(step));
    moments.y.push_back(knobs.momentum);
  }
  lr.series = {rates};
  momentum.series = {moments};
  for (Plot* plot : {&lr, &momentum}) {
    plot->x.label = "step";
    plot->x.integers = true;
  }
  return {lr, momentum};
}

int run_schedule(const ScheduleOptions& options, const CommonOptions& common) {
  const SolverConfig config = load_solver_or_run(options.path, common.solver_sets());
  std::int64_t samples = options.samples;
  if (samples == 0) samples = open_data(config.spec.data, config.net.input).train.size();
  const Schedule schedule(config.spec, samples);
  Table table({{"phase", Align::right},
               {"from step", Align::right},
               {"to step", Align::right},
               {"epochs", Align::right},
               {"lr"},
               {"momentum"},
               {"batch", Align::right},
               {"picture", Align::right},
               {"optimizer"}});
  auto rows = nlohmann::ordered_json::array();
  int number = 0;
  for (const ScheduleRow& row : schedule.table()) {
    table.add_row({std::to_string(++number), with_separators(row.begin_step),
                   with_separators(row.end_step), fmt::format("{:.4g}", row.epochs), row.lr,
                   row.momentum, std::to_string(row.batch), row.image, row.optimizer});
    rows.push_back({{"begin_step", row.begin_step},
                    {"end_step", row.end_step},
                    {"epochs", row.epochs},
                    {"lr", row.lr},
                    {"momentum", row.momentum},
                    {"batch", row.batch},
                    {"optimizer", row.optimizer}});
  }
  if (common.json != "-") {
    fmt::print("{}: {} samples, {} steps\n{}", config.spec.name, with_separators(samples),
               with_separators(schedule.total_steps()), table.to_string());
    const std::vector<Plot> plots = plots_of(schedule);
    write_svg_plot(options.out + ".svg", plots[0]);
    write_png(options.out + ".png", plot_picture(plots, 1));
    fmt::print("plot: {0}.svg, {0}.png\n", options.out);
  }
  write_json_result(common,
                    nlohmann::ordered_json{
                        {"steps", schedule.total_steps()}, {"samples", samples}, {"phases", rows}}
                        .dump());
  return 0;
}

}  // namespace

Command add_schedule(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<ScheduleOptions>();
  options->out = "schedule";
  CLI::App* verb = add_verb(app, common, "schedule",
                            "lr, momentum and what else each phase sets, as table and plot");
  verb->add_option("file", options->path,
                   "SOLVER.yaml or a run folder (default: the built-in one)");
  verb->add_option("--out", options->out, "path of the plot without extension");
  verb->add_option("--samples", options->samples, "training samples (default: counted in the data)")
      ->check(CLI::Range(1, 2000000000));
  return {verb, [options, &common] { return run_schedule(*options, common); }};
}

}  // namespace daybreak
