#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "config/spec_names.h"
#include "io/atomic_file.h"

namespace daybreak {

std::vector<std::string> CommonOptions::solver_sets() const {
  std::vector<std::string> result = sets;
  if (!device.empty()) result.push_back("device=" + device);
  if (!precision.empty()) result.push_back("precision=" + precision);
  if (seed) result.push_back("seed=" + std::to_string(*seed));
  return result;
}

Precision CommonOptions::precision_value() const {
  if (precision.empty()) return Precision::f32;
  for (const auto& entry : enum_names(Precision{})) {
    if (entry.name == precision) return entry.value;
  }
  throw ConfigError("--precision must be one of f32, bf16, f16, found \"" + precision + "\"");
}

CLI::App* add_verb(CLI::App& app, CommonOptions& common, const char* name, const char* help) {
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("--set", common.sets, "KEY=VALUE: overrides a key of the file; repeatable")
      ->allow_extra_args(false)
      ->take_all();
  verb->add_option("--device", common.device, "auto, cpu, cuda or cuda:N");
  verb->add_option("--precision", common.precision, "f32, bf16 or f16");
  verb->add_option("--threads", common.threads, "compute threads (default: all usable cores)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--seed", common.seed, "seed of every random draw");
  verb->add_option("--json", common.json, "write the result as JSON to FILE; - is standard output");
  verb->add_flag("--quiet", common.quiet, "only results, warnings and errors");
  verb->add_flag("--verbose", common.verbose, "say more");
  return verb;
}

void write_json_result(const CommonOptions& common, const std::string& json) {
  if (common.json.empty()) return;
  if (common.json == "-") {
    std::cout << json << std::endl;
  } else {
    write_file_atomically(common.json, json + "\n");
  }
}

SolverConfig load_solver_or_run(const std::string& path, const std::vector<std::string>& sets) {
  if (path.empty()) return load_solver("builtin:cfg/solver/fashion-mnist.yaml", sets);
  if (std::filesystem::is_directory(path)) return load_solver(path + "/config.yaml", sets);
  return load_solver(path, sets);
}

}  // namespace daybreak
