#include <fmt/format.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/module.h"
#include "cli/command.h"
#include "core/parallel.h"
#include "core/text.h"
#include "core/version.h"
#include "data/dataset.h"
#include "train/device.h"
#include "train/session.h"

namespace daybreak {
namespace {

struct Finding {
  std::string what;
  std::string text;
};

// What a GPU can do here, or the first thing that is in the way: no module, no driver, no GPU, a
// driver older than the toolkit, a GPU that is too old, missing libraries, wrong results.
std::string cuda_finding() {
  std::string why;
  if (!cuda_available(&why)) return "cannot be used: " + why;
  try {
    const BackendPtr backend = make_cuda_backend(0);
    check_backend_works(*backend);
    return backend->identity() + ", a small network gives the CPU's numbers";
  } catch (const DeviceError& error) {
    return std::string("cannot be used: ") + error.what();
  }
}

std::vector<Finding> look(const CommonOptions& common) {
  std::vector<Finding> findings;
  findings.push_back({"daybreak", kVersion});
  utsname name{};
  if (uname(&name) == 0) {
    findings.push_back(
        {"system", fmt::format("{} {} {}", name.sysname, name.release, name.machine)});
  }
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  findings.push_back({"cores", fmt::format("{} usable", usable_cores())});
  findings.push_back({"cpu", make_backend("cpu", threads)->identity()});
  findings.push_back({"cuda", cuda_finding()});
  const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto free_pages = static_cast<std::uint64_t>(sysconf(_SC_AVPHYS_PAGES));
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  findings.push_back({"memory", fmt::format("{} ({} free)", format_bytes(pages * page),
                                            format_bytes(free_pages * page))});
  struct statvfs disk {};
  if (statvfs(".", &disk) == 0) {
    findings.push_back(
        {"disk",
         fmt::format("{} free here", format_bytes(std::uint64_t{disk.f_bavail} * disk.f_frsize))});
  }
  try {
    SolverConfig config = load_solver_or_run("", {});
    const DataParts data = open_data(config.spec.data, config.net.input);
    findings.push_back({"default data", fmt::format("{} ({} + {} pictures)", data.source,
                                                    data.train.size(), data.test.size())});
  } catch (const std::exception& error) {
    findings.push_back({"default data", error.what()});
  }
  return findings;
}

int run_doctor(const CommonOptions& common) {
  nlohmann::ordered_json json;
  for (const Finding& finding : look(common)) {
    if (common.json != "-") fmt::print("{:<14}{}\n", finding.what, finding.text);
    json[finding.what] = finding.text;
  }
  write_json_result(common, json.dump());
  return 0;
}

}  // namespace

Command add_doctor(CLI::App& app, CommonOptions& common) {
  CLI::App* verb = add_verb(app, common, "doctor", "devices, versions, data, what is missing");
  return {verb, [&common] { return run_doctor(common); }};
}

}  // namespace daybreak
