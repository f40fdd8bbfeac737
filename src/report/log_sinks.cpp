#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>

#include "core/error.h"
#include "report/run_log.h"

namespace daybreak {
namespace {

constexpr std::size_t kMaxWarnings = 100;
constexpr std::size_t kMaxEarly = 1000;  // messages kept for a file that is not open yet
constexpr const char* kFilePattern = "%Y-%m-%dT%H:%M:%S.%e%z %l: %v";

// Console, list of warnings and, until there is a file, what it will get.
class FanOutSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  FanOutSink(Progress& progress, spdlog::level::level_enum console_level)
      : progress_(progress), console_level_(console_level) {}

  void open_file(const std::string& path) {
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/false);
    file->set_pattern(kFilePattern);
    const std::lock_guard lock(mutex_);
    for (const auto& message : early_) file->log(message);
    early_.clear();
    file->flush();
    file_ = std::move(file);
  }

  std::vector<std::string> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string text(message.payload.data(), message.payload.size());
    if (file_) {
      file_->log(message);
      file_->flush();
    } else if (early_.size() < kMaxEarly) {
      early_.emplace_back(message);
    }
    if (message.level >= console_level_) {
      const bool labelled = message.level >= spdlog::level::warn;
      progress_.line(labelled ? level_name(message.level) + ": " + text : text);
    }
    if (message.level == spdlog::level::warn && warnings_.size() < kMaxWarnings &&
        std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end()) {
      warnings_.push_back(std::move(text));
    }
  }
  void flush_() override {}

 private:
  static std::string level_name(spdlog::level::level_enum level) {
    return level == spdlog::level::warn ? "warning" : "error";
  }

  Progress& progress_;
  spdlog::level::level_enum console_level_;
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> file_;
  std::vector<spdlog::details::log_msg_buffer> early_;
  std::vector<std::string> warnings_;
};

spdlog::level::level_enum console_level(Verbosity verbosity) {
  switch (verbosity) {
    case Verbosity::quiet:
      return spdlog::level::warn;
    case Verbosity::normal:
      return spdlog::level::info;
    case Verbosity::verbose:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

struct RunLog::State {
  std::shared_ptr<spdlog::logger> before;
  std::shared_ptr<FanOutSink> sink;
};

RunLog::RunLog(Progress& progress, Verbosity verbosity) : state_(std::make_unique<State>()) {
  state_->before = spdlog::default_logger();
  state_->sink = std::make_shared<FanOutSink>(progress, console_level(verbosity));
  auto logger = std::make_shared<spdlog::logger>("run", state_->sink);
  logger->set_level(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

RunLog::~RunLog() {
  spdlog::set_default_logger(state_->before);
}

void RunLog::open_file(const std::string& path) {
  try {
    state_->sink->open_file(path);
  } catch (const spdlog::spdlog_ex& error) {
    throw DeviceError(path + ": error: cannot open: " + error.what());
  }
}

std::vector<std::string> RunLog::warnings() const {
  return state_->sink->warnings();
}

}  // namespace daybreak
