#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench_net.h"
#include "core/text.h"

namespace daybreak {
namespace {

constexpr int kMostSteps = 100000;

void answer(BenchNet& net, const std::vector<double>& seconds) {
  const nlohmann::ordered_json json = {{"seconds", seconds},
                                       {"losses", net.losses()},
                                       {"threads", net.threads()},
                                       {"peak_rss_bytes", peak_rss_bytes()},
                                       {"arena_bytes", net.executor().arena_bytes()},
                                       {"device_bytes", net.device_bytes()},
                                       {"backend", net.backend().identity()}};
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

}  // namespace

std::size_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

int bench_paired(BenchNet& net, int warmup) {
  answer(net, net.timed_steps(warmup));
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto steps = parse_int(line);
    if (!steps || *steps < 1 || *steps > kMostSteps) {
      throw ConfigError(fmt::format(
          "--paired wants a number of steps, 1 to {}, on every line of standard input; found {}",
          kMostSteps, quote(line)));
    }
    answer(net, net.timed_steps(static_cast<int>(*steps)));
  }
  return 0;
}

}  // namespace daybreak
