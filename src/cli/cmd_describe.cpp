#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bench_net.h"
#include "cli/command.h"
#include "core/parallel.h"
#include "core/text.h"
#include "layers/build_graph.h"
#include "train/device.h"
#include "train/net_table.h"
#include "train/session.h"

namespace daybreak {
namespace {

struct DescribeOptions {
  std::string path;
  int batch = 0;
  std::string size;
  bool plan = false;
};

NetworkSpec network_of(const std::string& path, const CommonOptions& common, int& batch) {
  if (is_network_file(path)) {
    if (batch == 0) batch = 128;
    return load_network(path, common.sets);
  }
  SolverConfig config = load_solver_or_run(path, common.solver_sets());
  if (batch == 0) batch = config.spec.batch;
  return config.net;
}

std::string step_list(const Plan& plan) {
  std::string text = "steps:\n";
  for (const PlanStep& step : plan.steps) {
    text += fmt::format("  {:<16} {:<28} {:<16} {}\n", step.layer, step.op, to_string(step.pass),
                        step.kernel);
  }
  return text;
}

int run_describe(DescribeOptions options, const CommonOptions& common) {
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  set_compute_threads(threads);
  NetworkSpec net = network_of(options.path, common, options.batch);
  use_placeholder_statistics(net.input);
  BuildOptions build;
  build.stand_in_classes = 10;
  const Graph graph = build_graph(net, build);
  const BackendPtr backend = make_backend(common.device.empty() ? "auto" : common.device, threads);
  const auto [height, width] = parse_size(options.size);
  Executor executor(graph, *backend);
  const bool trains = graph.loss != kNone;
  KernelChooser chooser(
      *backend, chooser_options(tune_mode(common, TuneMode::cached), conv_choice(common), true));
  const PlanId plan = executor.add_plan(
      plan_request(graph, trains ? Mode::train : Mode::eval, options.batch, height, width,
                   activation_dtype(*backend, common.precision_value())),
      chooser.chooser(), chooser.joiner());
  const double peak = backend->name() == "cpu" ? fma_peak(chooser, threads) : 0.0;
  chooser.finish();
  Traffic traffic = plan_traffic(graph, executor.plan(plan));
  if (trains) traffic.update = update_traffic(executor.param_bytes(), OptimizerAttrs{}.slots());
  if (common.json != "-") {
    fmt::print("{}: {} x {} x {} on {}\n", graph.name, net.input.channels,
               height > 0 ? height : net.input.height, width > 0 ? width : net.input.width,
               backend->identity());
    fmt::print("{}", layer_table(graph, executor.plan(plan), common.verbose || options.plan));
    fmt::print("{}", kernel_table(executor.plan(plan), peak));
    if (options.plan) {
      fmt::print("{}{}", step_list(executor.plan(plan)), traffic_table(traffic));
    }
  }
  write_json_result(common, describe_json(graph, executor.plan(plan), traffic, peak));
  return 0;
}

}  // namespace

Command add_describe(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<DescribeOptions>();
  CLI::App* verb =
      add_verb(app, common, "describe", "layers, shapes, parameters, FLOPs, memory plan, kernels");
  add_kernel_options(*verb, common);
  verb->add_option("file", options->path, "NET.yaml, SOLVER.yaml or a run folder")->required();
  verb->add_option("--batch", options->batch, "pictures a step")->check(CLI::Range(1, 65536));
  verb->add_option("--size", options->size, "picture size HxW (default: the network's)");
  verb->add_flag("--plan", options->plan,
                 "also every step with its kernel, and the bytes a step moves");
  return {verb, [options, &common] { return run_describe(*options, common); }};
}

}  // namespace daybreak
