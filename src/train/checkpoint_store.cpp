#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <memory>
#include <system_error>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "train/checkpoint_file.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBestKey = "is_best";
constexpr std::string_view kPrefix = "ckpt-", kSuffix = ".safetensors";

/// "ckpt-0000123.safetensors" -> 123; -1 for other names.
std::int64_t step_of(std::string_view name) {
  if (name.size() <= kPrefix.size() + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix)) {
    return -1;
  }
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return -1;
  return parse_int(name).value_or(-1);
}

void check_finite(const CheckpointData& data, std::int64_t step, const std::string& run_dir) {
  for (const NamedTensor& tensor : data.tensors) {
    const auto bad = std::find_if_not(tensor.values.begin(), tensor.values.end(),
                                      [](float value) { return std::isfinite(value); });
    if (bad == tensor.values.end()) continue;
    throw DivergenceError(
        fmt::format("{}: error: not saved: {} of {} is {} at step {}; the checkpoints before are "
                    "kept; try a lower lr",
                    run_dir, quote(tensor.name), tensor.values.size(), *bad, step));
  }
}

/// Blocks all signals while it lives: a thread started meanwhile leaves them to the others.
class SignalBlock {
 public:
  SignalBlock() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

CheckpointStore::CheckpointStore(std::string run_dir, int keep)
    : run_dir_(std::move(run_dir)), keep_(std::max(1, keep)) {}

CheckpointStore::~CheckpointStore() {
  if (!pending_.valid()) return;
  try {
    collect();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
}

CheckpointStore::Listing CheckpointStore::list() const {
  Listing result;
  std::error_code code;
  for (fs::directory_iterator it(run_dir_, code), end; !code && it != end; it.increment(code)) {
    const std::int64_t step = step_of(it->path().filename().string());
    if (step >= 0) result.emplace_back(step, it->path().string());
  }
  std::sort(result.rbegin(), result.rend());
  return result;
}

void CheckpointStore::save(std::int64_t step, CheckpointData data, bool best) {
  if (pending_.valid()) collect();
  data.meta[kBestKey] = best ? "1" : "0";
  pending_step_ = step;
  const auto copy = std::make_shared<const CheckpointData>(std::move(data));
  const auto work = [this, step, best, copy] { return write(step, *copy, best); };
  const SignalBlock no_signals;
  try {
    pending_ = std::async(std::launch::async, work);
  } catch (const std::system_error&) {
    // No thread to be had: written here, by wait().
    pending_ = std::async(std::launch::deferred, work);
    pending_.wait();
  }
}

void CheckpointStore::poll() {
  if (pending_.valid() && pending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    collect();
  }
}

void CheckpointStore::finish() {
  if (pending_.valid()) collect();
  if (failures_ > 0) throw DeviceError(failure_);
}

/// Waits for the save under way and draws the conclusions.
void CheckpointStore::collect() {
  try {
    for (const std::string& warning : pending_.get()) spdlog::warn("{}", warning);
    failures_ = 0;
    safe_step_ = pending_step_;
  } catch (const DeviceError& error) {
    ++failures_;
    const std::string safe =
        safe_step_ >= 0 ? fmt::format("step {} is safe", safe_step_) : "older checkpoints are safe";
    failure_ = fmt::format("{}: error: cannot save step {}: {}; {}", run_dir_, pending_step_,
                           error.what(), safe);
    if (failures_ >= kMaxFailedSaves) throw DeviceError(failure_);
    const int left = kMaxFailedSaves - failures_;
    spdlog::warn(
        "{}: cannot save step {}: {}; {}, the next save tries again, after {} more "
        "failure{} the run stops with exit code 5",
        run_dir_, pending_step_, error.what(), safe, left, left == 1 ? "" : "s");
  }
}

/// On the writer's thread. Returns warnings; throws DeviceError or DivergenceError.
std::vector<std::string> CheckpointStore::write(std::int64_t step, const CheckpointData& data,
                                                bool best) const {
  check_finite(data, step, run_dir_);
  const std::string name = fmt::format("{}{:07}{}", kPrefix, step, kSuffix);
  const std::string path = run_dir_ + "/" + name;
  save_tensors(path, data.tensors, data.meta);
  if (best) link_best(path, data);
  link_last(name, data);
  // Only now is anything older removed. A file of a later step (damaged, so passed over when the
  // run was resumed) is not counted: it must not push out a good one.
  std::vector<std::string> warnings;
  int kept = 0;
  for (const auto& [other, old_path] : list()) {
    if (other > step || ++kept <= keep_) continue;
    std::error_code code;
    fs::remove(old_path, code);
    if (code) warnings.push_back(fmt::format("{}: cannot remove: {}", old_path, code.message()));
  }
  return warnings;
}

void CheckpointStore::link_last(const std::string& name, const CheckpointData& data) const {
  const std::string last = run_dir_ + "/last.safetensors";
  if (replace_with_symlink(name, last) || replace_with_hard_link(run_dir_ + "/" + name, last)) {
    return;
  }
  save_tensors(last, data.tensors, data.meta);
}

void CheckpointStore::link_best(const std::string& path, const CheckpointData& data) const {
  const std::string best = run_dir_ + "/best.safetensors";
  if (!replace_with_hard_link(path, best)) save_tensors(best, data.tensors, data.meta);
}

void CheckpointStore::mend_links(const std::string& path, const CheckpointData& data) const {
  std::error_code code;
  const auto is_best = data.meta.find(kBestKey);
  if (is_best != data.meta.end() && is_best->second == "1" &&
      !fs::equivalent(path, run_dir_ + "/best.safetensors", code)) {
    link_best(path, data);
  }
  if (!fs::equivalent(path, run_dir_ + "/last.safetensors", code)) {
    link_last(fs::path(path).filename().string(), data);
  }
}

CheckpointData CheckpointStore::load_newest() {
  if (pending_.valid()) collect();
  const Listing files = list();
  std::vector<std::string> damaged;
  for (const auto& [step, path] : files) {
    try {
      CheckpointData data = read_checkpoint(path);
      const auto stored = data.meta.find("step");
      if (stored != data.meta.end() && stored->second != std::to_string(step)) {
        throw DataError(
            path, fmt::format("holds step {}, not the step its name says", quote(stored->second)));
      }
      for (const std::string& text : damaged) spdlog::warn("{}; not used", text);
      if (!damaged.empty()) {
        spdlog::warn("{}: resuming from this one; {} steps are trained again", path,
                     files.front().first - step);
      }
      safe_step_ = step;
      try {
        mend_links(path, data);
      } catch (const DeviceError& error) {
        spdlog::warn("{}", error.what());
      }
      return data;
    } catch (const DataError& error) {
      damaged.push_back(error.what());
    }
  }
  std::string text = "there is no checkpoint to resume from";
  if (!damaged.empty()) text = fmt::format("none of {} checkpoints can be used", damaged.size());
  for (const std::string& line : damaged) text += "\n    " + line;
  throw DataError(run_dir_, text);
}

void CheckpointStore::check_space(std::uint64_t bytes) const {
  std::uint64_t present = 0;  // those the new ones will replace
  for (const auto& [step, path] : list()) {
    std::error_code code;
    const std::uintmax_t size = fs::file_size(path, code);
    if (!code) present += std::min<std::uint64_t>(size, bytes);
  }
  const std::uint64_t files = static_cast<std::uint64_t>(keep_) + 1;
  const std::uint64_t need = files * bytes - std::min(present, files * bytes);
  const std::uint64_t available = free_bytes(run_dir_);
  if (available >= need) return;
  throw DeviceError(fmt::format(
      "{}: error: {} checkpoints of {} need {}, but only {} are free; free some space, lower "
      "\"checkpoint.keep\" or choose another folder with --run",
      run_dir_, files, format_bytes(bytes), format_bytes(need), format_bytes(available)));
}

}  // namespace daybreak
