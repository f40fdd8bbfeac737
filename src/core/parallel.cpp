#include "core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace daybreak {
namespace {

// cgroup v2: "max 100000" or "QUOTA PERIOD" in microseconds; 0 when there is no limit.
int cgroup_quota_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  long period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  long value = 0;
  for (char digit : quota) {
    if (digit < '0' || digit > '9') return 0;
    value = value * 10 + (digit - '0');
  }
  return static_cast<int>(std::max(1L, (value + period - 1) / period));
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  if (const int quota = cgroup_quota_cores(); quota > 0) cores = std::min(cores, quota);
  return std::max(1, cores);
}

void set_compute_threads(int threads) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}

int compute_threads() { return omp_get_max_threads(); }

}  // namespace daybreak
