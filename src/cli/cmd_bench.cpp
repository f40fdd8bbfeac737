#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/cpu/machine_probe.h"
#include "cli/bench_net.h"
#include "core/parallel.h"
#include "core/text.h"
#include "report/table.h"
#include "report/text.h"
#include "train/session.h"

namespace daybreak {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string what;
  std::string path;
  int batch = 128;
  int steps = 10;
  int warmup = 2;
  std::string size;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

int bench_steps(const BenchOptions& options, const CommonOptions& common, Mode mode) {
  const auto [height, width] = parse_size(options.size);
  const auto start = Clock::now();
  BenchNet net(options.path, common, mode, options.batch, height, width);
  net.step();
  const double first_step = seconds_since(start);
  for (int i = 1; i < options.warmup; ++i) net.step();
  std::vector<double> seconds;
  for (int i = 0; i < options.steps; ++i) {
    const auto begin = Clock::now();
    net.step();
    seconds.push_back(seconds_since(begin));
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  // The ceiling of another device is not known here.
  const bool on_cpu = net.backend().name() == "cpu";
  const double peak = on_cpu ? probe_fma_gflops(net.threads(), 0.2) : 0.0;
  const double gflops = net.flops_per_step() / median * 1e-9;
  nlohmann::ordered_json json = {{"images_per_second", options.batch / median},
                                 {"seconds_per_step", median},
                                 {"batch", options.batch},
                                 {"precision", common.precision.empty() ? "f32" : common.precision},
                                 {"steps", options.steps},
                                 {"share_of_peak", peak > 0.0 ? gflops / peak : 0.0},
                                 {"gflops", gflops},
                                 {"peak_gflops", peak},
                                 {"seconds_min", seconds.front()},
                                 {"seconds_max", seconds.back()},
                                 {"seconds_to_first_step", first_step},
                                 {"threads", net.threads()},
                                 {"peak_rss_bytes", peak_rss_bytes()},
                                 {"arena_bytes", net.executor().arena_bytes()},
                                 {"backend", net.backend().identity()}};
  if (common.json != "-") {
    const std::string share = on_cpu ? fmt::format(" ({:.0f} % of the FMA peak of {:.0f})",
                                                   100.0 * gflops / std::max(peak, 1.0), peak)
                                     : "";
    fmt::print(
        "{}: {}, batch {}, {} threads: {}, {:.1f} ms a step, {:.0f} GFLOP/s{}, peak memory {}\n",
        mode == Mode::train ? "train" : "infer", net.executor().graph().name, options.batch,
        net.threads(), image_rate_text(options.batch / median), median * 1e3, gflops, share,
        format_bytes(peak_rss_bytes()));
  }
  write_json_result(common, json.dump());
  return 0;
}

int bench_layers(const BenchOptions& options, const CommonOptions& common) {
  const auto [height, width] = parse_size(options.size);
  BenchNet net(options.path, common, Mode::train, options.batch, height, width);
  Table table({{"layer"},
               {"operation", Align::left, 40},
               {"pass"},
               {"kernel", Align::left, 44},
               {"ms", Align::right},
               {"share", Align::right}});
  const std::vector<StepTime> times = net.executor().profile(net.plan(), options.steps);
  double total = 0.0;
  for (const StepTime& time : times) total += time.seconds;
  auto rows = nlohmann::ordered_json::array();
  for (const StepTime& time : times) {
    table.add_row({time.step->layer, time.step->op, std::string(to_string(time.step->pass)),
                   time.step->kernel, fmt::format("{:.3f}", time.seconds * 1e3),
                   fmt::format("{:.1f} %", 100.0 * time.seconds / total)});
    rows.push_back({{"layer", time.step->layer},
                    {"op", time.step->op},
                    {"pass", to_string(time.step->pass)},
                    {"kernel", time.step->kernel},
                    {"seconds", time.seconds}});
  }
  table.add_rule();
  table.add_row({"total", "", "", "", fmt::format("{:.3f}", total * 1e3)});
  if (common.json != "-") fmt::print("{}", table.to_string());
  write_json_result(common, nlohmann::ordered_json{{"steps", rows}, {"seconds", total}}.dump());
  return 0;
}

int bench_machine(const CommonOptions& common) {
  Table table({{"threads", Align::right},
               {"f32 FMA GFLOP/s", Align::right},
               {"bf16 GFLOP/s", Align::right},
               {"triad GB/s", Align::right}});
  auto rows = nlohmann::ordered_json::array();
  const int most = common.threads > 0 ? common.threads : usable_cores();
  for (int threads = 1; threads <= most; threads = threads < most ? most : most + 1) {
    const MachineCeilings ceilings = probe_machine(threads, 0.5);
    table.add_row({std::to_string(threads), fmt::format("{:.0f}", ceilings.fma_gflops),
                   fmt::format("{:.0f}", ceilings.bf16_gflops),
                   fmt::format("{:.1f}", ceilings.bandwidth_gbytes)});
    rows.push_back({{"threads", threads},
                    {"fma_gflops", ceilings.fma_gflops},
                    {"bf16_gflops", ceilings.bf16_gflops},
                    {"bandwidth_gbytes", ceilings.bandwidth_gbytes}});
  }
  if (common.json != "-") fmt::print("{}", table.to_string());
  write_json_result(common, rows.dump());
  return 0;
}

int bench_loader(const BenchOptions& options, const CommonOptions& common) {
  SolverConfig config = load_solver_or_run(options.path, common.solver_sets());
  set_compute_threads(common.threads > 0 ? common.threads : usable_cores());
  const DataParts data = open_data(config.spec.data, config.net.input);
  LoaderOptions loader_options;
  loader_options.batch = options.batch;
  loader_options.height = config.net.input.height;
  loader_options.width = config.net.input.width;
  loader_options.fit = config.net.input.fit;
  loader_options.transforms = config.spec.augment;
  loader_options.seed = config.spec.seed;
  loader_options.workers = config.spec.data.workers;
  loader_options.repeat = true;
  Loader loader(data.train, loader_options);
  loader.start(0, 0);
  for (int i = 0; i < options.warmup; ++i) loader.next();
  const auto start = Clock::now();
  std::int64_t images = 0;
  while (seconds_since(start) < 2.0) images += loader.next().count;
  const double rate = static_cast<double>(images) / seconds_since(start);
  if (common.json != "-") {
    fmt::print("loader: {} with {} workers\n", image_rate_text(rate), loader.workers());
  }
  write_json_result(
      common,
      nlohmann::ordered_json{{"images_per_second", rate}, {"workers", loader.workers()}}.dump());
  return 0;
}

int run_bench(const BenchOptions& options, const CommonOptions& common) {
  if (options.what == "machine") return bench_machine(common);
  if (options.path.empty()) throw ConfigError("bench " + options.what + " needs a file");
  if (options.what == "train") return bench_steps(options, common, Mode::train);
  if (options.what == "infer") return bench_steps(options, common, Mode::eval);
  if (options.what == "layers") return bench_layers(options, common);
  return bench_loader(options, common);
}

}  // namespace

Command add_bench(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* verb = add_verb(app, common, "bench", "measure training steps, layers, the machine");
  verb->add_option("what", options->what, "train, infer, layers, machine or loader")
      ->required()
      ->check(CLI::IsMember({"train", "infer", "layers", "machine", "loader"}));
  verb->add_option("file", options->path,
                   "NET.yaml (train, infer, layers) or SOLVER.yaml (loader)");
  verb->add_option("--batch", options->batch, "pictures a step")->check(CLI::Range(1, 65536));
  verb->add_option("--steps", options->steps, "steps measured")->check(CLI::Range(1, 100000));
  verb->add_option("--warmup", options->warmup, "steps before")->check(CLI::Range(1, 1000));
  verb->add_option("--size", options->size, "picture size HxW (default: the network's)");
  return {verb, [options, &common] { return run_bench(*options, common); }};
}

}  // namespace daybreak
