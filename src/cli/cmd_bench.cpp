#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backend/cpu/machine_probe.h"
#include "cli/bench_net.h"
#include "core/parallel.h"
#include "core/text.h"
#include "report/table.h"
#include "report/text.h"
#include "train/device.h"
#include "train/session.h"

namespace daybreak {
namespace {

struct BenchOptions {
  std::string what;
  std::string path;
  int batch = 128;
  int steps = 10;
  int warmup = 2;
  std::string size;
  std::string dump;
  bool paired = false;
};

// Since the process was started, to 10 ms: the kernel tells the start in clock ticks after boot.
double seconds_since_exec() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {
  }
  const auto ticks = parse_int(field);
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  if (!ticks) return 0.0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 -
         static_cast<double>(*ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// What a step is compared with, measured now on the device that takes it.
struct Ceilings {
  const char* name = "FMA peak";
  double gflops = 1.0;
  double bandwidth_gbytes = 0.0;  // 0: not known
  double step_gbytes = 0.0, floor_gbytes = 0.0;

  double share_of_bandwidth(double seconds) const {
    return bandwidth_gbytes > 0.0 ? step_gbytes / seconds / bandwidth_gbytes : 0.0;
  }
};

Ceilings ceilings_of(BenchNet& net, const CommonOptions& common) {
  Ceilings ceilings;
  const PassTraffic traffic = net.traffic();
  ceilings.step_gbytes = static_cast<double>(traffic.moved) * 1e-9;
  ceilings.floor_gbytes = static_cast<double>(traffic.floor) * 1e-9;
  if (net.backend().name() == "cuda") {
    const DeviceCeilings device = probe_device(net.backend());
    const bool wide = common.precision_value() == Precision::f32;
    ceilings.name = wide ? "f32 products' rate" : "bf16 products' rate";
    ceilings.gflops = wide ? device.f32_gflops : device.bf16_gflops;
    ceilings.bandwidth_gbytes = device.bandwidth_gbytes;
  } else {
    ceilings.gflops = probe_fma_gflops(net.threads(), 0.2);
  }
  ceilings.gflops = std::max(ceilings.gflops, 1.0);
  return ceilings;
}

int bench_steps(const BenchOptions& options, const CommonOptions& common, Mode mode) {
  const auto [height, width] = parse_size(options.size);
  BenchNet net(options.path, common, mode, options.batch, height, width);
  if (!options.dump.empty()) {
    net.dump(options.dump);
    return 0;
  }
  if (options.paired) return bench_paired(net, options.warmup);
  net.step();
  net.wait();
  const double first_step = seconds_since_exec();
  // The second step of a device is recorded.
  for (int i = 1; i < std::max(options.warmup, net.backend().can_record() ? 2 : 1); ++i) net.step();
  net.wait();
  std::vector<double> seconds = net.timed_steps(options.steps);
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const Ceilings ceilings = ceilings_of(net, common);
  const double gflops = net.flops_per_step() / median * 1e-9;
  nlohmann::ordered_json json = {{"images_per_second", options.batch / median},
                                 {"seconds_per_step", median},
                                 {"batch", options.batch},
                                 {"precision", common.precision.empty() ? "f32" : common.precision},
                                 {"steps", options.steps},
                                 {"share_of_peak", gflops / ceilings.gflops},
                                 {"gflops", gflops},
                                 {"peak_gflops", ceilings.gflops},
                                 {"bandwidth_gbytes", ceilings.bandwidth_gbytes},
                                 {"step_gbytes", ceilings.step_gbytes},
                                 {"floor_gbytes", ceilings.floor_gbytes},
                                 {"share_of_bandwidth", ceilings.share_of_bandwidth(median)},
                                 {"seconds_min", seconds.front()},
                                 {"seconds_max", seconds.back()},
                                 {"seconds_to_first_step", first_step},
                                 {"seconds_of_start", std::max(0.0, first_step - median)},
                                 {"losses", net.losses()},
                                 {"threads", net.threads()},
                                 {"peak_rss_bytes", peak_rss_bytes()},
                                 {"arena_bytes", net.executor().arena_bytes()},
                                 {"device_bytes", net.device_bytes()},
                                 {"backend", net.backend().identity()}};
  if (common.json != "-") {
    std::string share =
        fmt::format(" ({:.0f} % of the {} of {:.0f})", 100.0 * gflops / ceilings.gflops,
                    ceilings.name, ceilings.gflops);
    share += fmt::format(", {:.3g} GB a step ({:.2f} of the floor)", ceilings.step_gbytes,
                         ceilings.step_gbytes / std::max(ceilings.floor_gbytes, 1e-9));
    if (ceilings.bandwidth_gbytes > 0.0) {
      share +=
          fmt::format(", {:.0f} GB/s ({:.0f} % of a copy's {:.0f})", ceilings.step_gbytes / median,
                      100.0 * ceilings.share_of_bandwidth(median), ceilings.bandwidth_gbytes);
    }
    fmt::print(
        "{}: {}, batch {}, {} threads: {}, {:.1f} ms a step, {:.0f} GFLOP/s{}, peak memory {}, "
        "started in {:.2f} s\n",
        mode == Mode::train ? "train" : "infer", net.executor().graph().name, options.batch,
        net.threads(), image_rate_text(options.batch / median), median * 1e3, gflops, share,
        format_bytes(peak_rss_bytes()), std::max(0.0, first_step - median));
  }
  write_json_result(common, json.dump());
  return 0;
}

// What a step is added up under: convolutions by direction, norms, the rest.
std::string group_of(const PlanStep& step) {
  if (step.kind == StepKind::reorder) return "reorders";
  if (step.op.starts_with("conv") || step.op.starts_with("deconv")) {
    return "conv " + std::string(to_string(step.pass));
  }
  if (step.op.starts_with("batchnorm")) return "batch norm";
  return "others";
}

int bench_layers(const BenchOptions& options, const CommonOptions& common) {
  const auto [height, width] = parse_size(options.size);
  BenchNet net(options.path, common, Mode::train, options.batch, height, width);
  Table table({{"layer"},
               {"operation", Align::left, 40},
               {"pass"},
               {"kernel", Align::left, 44},
               {"ms", Align::right},
               {"share", Align::right},
               {"GFLOP/s", Align::right},
               {"of peak", Align::right}});
  const std::vector<StepTime> times = net.executor().profile(net.plan(), options.steps);
  const double peak = ceilings_of(net, common).gflops;
  double total = 0.0;
  for (const StepTime& time : times) total += time.seconds;
  std::map<std::string, double> groups;
  auto rows = nlohmann::ordered_json::array();
  for (const StepTime& time : times) {
    const double gflops = static_cast<double>(time.step->flops) / time.seconds * 1e-9;
    table.add_row({time.step->layer, time.step->op, std::string(to_string(time.step->pass)),
                   time.step->kernel, fmt::format("{:.3f}", time.seconds * 1e3),
                   fmt::format("{:.1f} %", 100.0 * time.seconds / total),
                   gflops > 0.0 ? fmt::format("{:.0f}", gflops) : "",
                   gflops > 0.0 ? fmt::format("{:.0f} %", 100.0 * gflops / peak) : ""});
    groups[group_of(*time.step)] += time.seconds;
    rows.push_back({{"layer", time.step->layer},
                    {"op", time.step->op},
                    {"pass", to_string(time.step->pass)},
                    {"kernel", time.step->kernel},
                    {"seconds", time.seconds},
                    {"flops", time.step->flops}});
  }
  table.add_rule();
  for (const auto& [name, seconds] : groups) {
    table.add_row({name, "", "", "", fmt::format("{:.3f}", seconds * 1e3),
                   fmt::format("{:.1f} %", 100.0 * seconds / total)});
  }
  table.add_row({"total", "", "", "", fmt::format("{:.3f}", total * 1e3)});
  if (common.json != "-") fmt::print("{}", table.to_string());
  const nlohmann::ordered_json json = {
      {"steps", rows}, {"groups", groups}, {"seconds", total}, {"peak_gflops", peak}};
  write_json_result(common, json.dump());
  return 0;
}

int bench_device(const CommonOptions& common) {
  const BackendPtr backend = make_backend(common.device, 1);
  const DeviceCeilings ceilings = probe_device(*backend);
  if (common.json != "-") {
    fmt::print(
        "{}\nproducts of 8192 x 8192: {:.0f} GFLOP/s in f32, {:.0f} in bf16; copy: {:.0f} GB/s\n",
        backend->identity(), ceilings.f32_gflops, ceilings.bf16_gflops, ceilings.bandwidth_gbytes);
  }
  const auto rows =
      nlohmann::ordered_json::array({{{"threads", 0},
                                      {"fma_gflops", ceilings.f32_gflops},
                                      {"bf16_gflops", ceilings.bf16_gflops},
                                      {"bandwidth_gbytes", ceilings.bandwidth_gbytes}}});
  write_json_result(common, rows.dump());
  return 0;
}

int bench_machine(const CommonOptions& common) {
  if (common.device.starts_with("cuda")) return bench_device(common);
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

int run_bench(const BenchOptions& options, const CommonOptions& common) {
  const bool steps = options.what == "train" || options.what == "infer";
  if (!steps && (options.paired || !options.dump.empty())) {
    throw ConfigError("--dump and --paired are for bench train and bench infer, found bench " +
                      options.what);
  }
  if (options.what == "machine") return bench_machine(common);
  if (options.path.empty()) throw ConfigError("bench " + options.what + " needs a file");
  if (options.what == "train") return bench_steps(options, common, Mode::train);
  if (options.what == "infer") return bench_steps(options, common, Mode::eval);
  if (options.what == "layers") return bench_layers(options, common);
  return bench_loader(options.path, options.batch, common);
}

}  // namespace

Command add_bench(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* verb = add_verb(app, common, "bench", "measure training steps, layers, the machine");
  add_kernel_options(*verb, common);
  verb->add_option("what", options->what, "train, infer, layers, machine or loader")
      ->required()
      ->check(CLI::IsMember({"train", "infer", "layers", "machine", "loader"}));
  verb->add_option("file", options->path,
                   "NET.yaml (train, infer, layers) or SOLVER.yaml (loader)");
  verb->add_option("--batch", options->batch, "pictures a step")->check(CLI::Range(1, 65536));
  verb->add_option("--steps", options->steps, "steps measured")->check(CLI::Range(1, 100000));
  verb->add_option("--warmup", options->warmup, "steps before")->check(CLI::Range(1, 1000));
  verb->add_option("--size", options->size, "picture size HxW (default: the network's)");
  verb->add_option("--dump", options->dump,
                   "train, infer: write initial weights and the batch to FILE and stop");
  verb->add_flag("--paired", options->paired,
                 "train, infer: a round of steps for every line N of standard input");
  return {verb, [options, &common] { return run_bench(*options, common); }};
}

}  // namespace daybreak
