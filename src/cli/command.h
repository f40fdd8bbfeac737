#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/solver_config.h"

namespace CLI {
class App;
}

namespace daybreak {

/// Options every verb has.
struct CommonOptions {
  std::vector<std::string> sets;  ///< --set KEY=VALUE
  std::string device;             ///< empty: what the file says
  std::string precision;
  int threads = 0;  ///< 0: all usable cores
  std::optional<std::uint64_t> seed;
  std::string json;  ///< file for the result; "-" is standard output
  bool quiet = false;
  bool verbose = false;

  /// `sets` and the options above as settings of a solver file.
  std::vector<std::string> solver_sets() const;
  /// --precision, f32 when it is not given; throws ConfigError for an unknown name.
  Precision precision_value() const;
};

/// A verb: its parser and what it runs. run() returns the exit code.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// Adds a verb with the common options. The functions below live in cmd_VERB.cpp.
CLI::App* add_verb(CLI::App& app, CommonOptions& common, const char* name, const char* help);

Command add_train(CLI::App& app, CommonOptions& common);
Command add_test(CLI::App& app, CommonOptions& common);
Command add_predict(CLI::App& app, CommonOptions& common);
Command add_lr_find(CLI::App& app, CommonOptions& common);
Command add_describe(CLI::App& app, CommonOptions& common);
Command add_schedule(CLI::App& app, CommonOptions& common);
Command add_preview(CLI::App& app, CommonOptions& common);
Command add_export(CLI::App& app, CommonOptions& common);
Command add_init(CLI::App& app, CommonOptions& common);
Command add_bench(CLI::App& app, CommonOptions& common);
Command add_doctor(CLI::App& app, CommonOptions& common);

/// Writes a result in JSON to --json's file, or to standard output for "-"; nothing when not asked.
void write_json_result(const CommonOptions& common, const std::string& json);

/// Loads a solver file; an empty path is the built-in default. A run folder means its config.yaml.
SolverConfig load_solver_or_run(const std::string& path, const std::vector<std::string>& sets);

}  // namespace daybreak
