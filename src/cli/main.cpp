#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <new>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "core/error.h"
#include "core/version.h"

namespace daybreak {
namespace {

// Exit codes of cli.md; every exception of the program ends here.
int fail(int code, const std::string& text) {
  std::cerr << text << std::endl;
  return code;
}

int run_command(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return 2;
}

int guarded_run(const std::vector<Command>& commands) {
  try {
    return run_command(commands);
  } catch (const ConfigError& error) {
    return fail(2, error.what());
  } catch (const DivergenceError& error) {
    return fail(3, error.what());
  } catch (const DataError& error) {
    return fail(4, error.what());
  } catch (const DeviceError& error) {
    return fail(5, std::string("daybreak: error: ") + error.what());
  } catch (const std::bad_alloc&) {
    return fail(5, "daybreak: error: out of memory");
  }
}

std::vector<Command> add_commands(CLI::App& app, CommonOptions& common) {
  return {add_train(app, common),    add_test(app, common),     add_predict(app, common),
          add_detect(app, common),   add_import(app, common),   add_lr_find(app, common),
          add_describe(app, common), add_schedule(app, common), add_preview(app, common),
          add_export(app, common),   add_init(app, common),     add_bench(app, common),
          add_doctor(app, common),   add_anchors(app, common)};
}

int main_function(int argc, char** argv) {
  // Standard output is for results; training replaces this logger by its own.
  auto logger =
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("daybreak: %l: %v");
  logger->set_level(spdlog::level::warn);
  spdlog::set_default_logger(logger);
  CLI::App app("daybreak: train vision networks from YAML", "daybreak");
  app.set_version_flag("--version", std::string("daybreak ") + kVersion);
  app.require_subcommand(1);
  app.footer("Start with `daybreak train`: it trains a small network on Fashion-MNIST.");
  CommonOptions common;
  const std::vector<Command> commands = add_commands(app, common);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done) == 0 ? 0 : 2;
  } catch (const CLI::ParseError& error) {
    std::cerr << "daybreak: error: " << error.what() << " (see daybreak --help)" << std::endl;
    return 2;
  }
  return guarded_run(commands);
}

}  // namespace
}  // namespace daybreak

int main(int argc, char** argv) {
  return daybreak::main_function(argc, argv);
}
