#pragma once

#include <string>
#include <vector>

namespace daybreak {

/// What a program did.
struct CommandResult {
  int exit_code = -1;  ///< 128 + signal when a signal ended it
  std::string out, err;
};

/// Runs a program to its end, without a shell; `environment` adds "NAME=VALUE".
CommandResult run_command(const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment = {});
/// The program under test with these arguments.
CommandResult daybreak(std::vector<std::string> arguments);

/// Starts a program and sends `signal` after `delay_ms`, or as soon as `path` exists when given.
CommandResult run_and_signal(const std::vector<std::string>& arguments, int signal, int delay_ms,
                             const std::string& path = "");

}  // namespace daybreak
