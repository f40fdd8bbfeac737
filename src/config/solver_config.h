#pragma once

#include <string>
#include <vector>

#include "config/network_spec.h"
#include "config/specs.h"

namespace daybreak {

/// A solver file with everything it names: checked, sugar expanded, ready to be used or printed.
struct SolverConfig {
  SolverSpec spec;
  NetworkSpec net;
  Node resolved;     ///< the file's map: base files, the data descriptor and --set values merged in
  std::string path;  ///< of the solver file
};

/// Loads a solver file, or "builtin:PATH". `sets` are "KEY=VALUE" texts of --set; keys below `net`
/// and `data` reach into the files named there. Throws ConfigError with every error found.
SolverConfig load_solver(const std::string& path, const std::vector<std::string>& sets = {});

/// The same for text; `file` is what messages show and what relative paths are relative to.
SolverConfig load_solver_text(const std::string& text, const std::string& file,
                              const std::vector<std::string>& sets = {});

/// Loads a network file alone.
NetworkSpec load_network(const std::string& path, const std::vector<std::string>& sets = {});
NetworkSpec load_network_text(const std::string& text, const std::string& file,
                              const std::vector<std::string>& sets = {});

/// Loads a data descriptor alone.
DataSpec load_data(const std::string& path, const std::vector<std::string>& sets = {});

/// Whether a file is a data descriptor (it has `sources`) and not a solver. Throws ConfigError when
/// it cannot be read.
bool is_data_file(const std::string& path);

/// Whether a file is a network (it has `layers`) and not a solver. Throws ConfigError when it
/// cannot be read.
bool is_network_file(const std::string& path);

/// The whole configuration as YAML: defaults written out, schedules as phases, the network inline,
/// paths absolute. Reads back to the same configuration, and prints again as the same text.
std::string print_config(const SolverConfig& config);
std::string print_network(const NetworkSpec& network);

}  // namespace daybreak
