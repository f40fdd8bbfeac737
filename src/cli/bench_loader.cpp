#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/bench_net.h"
#include "core/parallel.h"
#include "data/loader.h"
#include "report/text.h"

namespace daybreak {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSeconds = 2.0;
constexpr int kRounds = 10;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LoaderOptions loader_options(const SolverConfig& config, int batch) {
  LoaderOptions options;
  options.batch = batch;
  options.height = config.net.input.height;
  options.width = config.net.input.width;
  options.fit = config.net.input.fit;
  options.transforms = config.spec.augment;
  options.seed = config.spec.seed;
  options.workers = config.spec.data.workers;
  options.repeat = true;
  return options;
}

// Seconds a picture takes from bytes to the normalised numbers of the first layer's layout.
double normalise_seconds(const SolverConfig& config, const CommonOptions& common, int batch) {
  BenchNet net(config.net, common, Mode::eval, batch, 0, 0);
  for (const StepTime& time : net.executor().profile(net.plan(), kRounds)) {
    if (time.step->op.starts_with("input u8")) return time.seconds / batch;
  }
  return 0.0;
}

}  // namespace

int bench_loader(const std::string& path, int batch, const CommonOptions& common) {
  const SolverConfig config = load_solver_or_run(path, common.solver_sets());
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  set_compute_threads(threads);
  const DataParts data = open_data(config.spec.data, config.net.input);
  double rate = 0.0;
  int workers = 0;
  {
    Loader loader(data.train, loader_options(config, batch));
    workers = loader.workers();
    loader.start(0, 0);
    loader.next();
    const auto start = Clock::now();
    std::int64_t images = 0;
    while (seconds_since(start) < kSeconds) images += loader.next().count;
    rate = static_cast<double>(images) / seconds_since(start);
  }
  const double normalise = normalise_seconds(config, common, batch);
  const double both = 1.0 / (1.0 / rate + normalise);
  const int busy = workers > 0 ? workers : threads;
  if (common.json != "-") {
    const std::string threads_text = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
    fmt::print("loader: {} with {}\nnormalisation: {} with {}\n", image_rate_text(rate),
               workers > 0 ? fmt::format("{} workers", workers) : threads_text,
               image_rate_text(normalise > 0.0 ? 1.0 / normalise : 0.0), threads_text);
    if (workers == 0)
      fmt::print("both: {}, {} a thread\n", image_rate_text(both), image_rate_text(both / threads));
  }
  write_json_result(common, nlohmann::ordered_json{{"images_per_second", rate},
                                                   {"workers", workers},
                                                   {"threads", busy},
                                                   {"normalise_seconds_per_image", normalise},
                                                   {"with_normalisation", both}}
                                .dump());
  return 0;
}

}  // namespace daybreak
