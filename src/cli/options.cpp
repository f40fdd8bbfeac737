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
  if (!tune.empty()) result.push_back("tune=" + tune);
  if (!conv.empty()) result.push_back("conv_algorithm=" + conv);
  return result;
}

Precision CommonOptions::precision_value() const {
  if (precision.empty()) return Precision::f32;
  for (const auto& entry : enum_names(Precision{})) {
    if (entry.name == precision) return entry.value;
  }
  throw ConfigError("--precision must be one of f32, bf16, f16, auto, found \"" + precision + "\"");
}

void add_kernel_options(CLI::App& verb, CommonOptions& common) {
  verb.add_option("--tune", common.tune,
                  "kernels by measuring (on), by earlier measurements (cached), by guess (off)")
      ->check(CLI::IsMember({"on", "cached", "off"}));
  verb.add_option("--conv", common.conv, "convolutions: auto, direct or winograd")
      ->check(CLI::IsMember({"auto", "direct", "winograd"}));
}

TuneMode tune_mode(const CommonOptions& common, TuneMode otherwise) {
  if (common.tune == "on") return TuneMode::on;
  if (common.tune == "cached") return TuneMode::cached;
  return common.tune == "off" ? TuneMode::off : otherwise;
}

ConvChoice conv_choice(const CommonOptions& common) {
  if (common.conv == "direct") return ConvChoice::direct;
  return common.conv == "winograd" ? ConvChoice::winograd : ConvChoice::automatic;
}

CLI::App* add_verb(CLI::App& app, CommonOptions& common, const char* name, const char* help) {
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("--set", common.sets, "KEY=VALUE: overrides a key of the file; repeatable")
      ->allow_extra_args(false)
      ->take_all();
  verb->add_option("--device", common.device, "auto, cpu, cuda or cuda:N");
  verb->add_option("--precision", common.precision, "f32, bf16, f16 or auto");
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
