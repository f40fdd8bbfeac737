#include "train/run_folder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

/// "pid 4711 on host ada, since 2026-11-22T00:21:57Z": for the message of a second writer.
std::string owner_text() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {"?"};
  return fmt::format("pid {} on host {}, since {:%FT%TZ}", ::getpid(), host.data(),
                     fmt::gmtime(std::time(nullptr)));
}

[[noreturn]] void refuse(const std::string& path, const std::string& text) {
  throw ConfigError(Mark{path, 0, 0}, text);
}

/// mkdir that fails when the folder is there; 0 or errno.
int make_folder(const std::string& path) {
  return ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
}

/// Highest N of the entries NAME-N of `parent`; 0 when there is none.
std::int64_t highest_number(const std::string& parent, const std::string& name) {
  const std::string prefix = name + "-";
  std::int64_t highest = 0;
  std::error_code code;
  for (fs::directory_iterator it(parent, code), end; !code && it != end; it.increment(code)) {
    const std::string entry = it->path().filename().string();
    if (!entry.starts_with(prefix)) continue;
    highest =
        std::max(highest, parse_int(std::string_view(entry).substr(prefix.size())).value_or(0));
  }
  return highest;
}

}  // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  lock_ = FileDescriptor(open_retrying(path_ + "/run.lock", O_RDWR | O_CREAT, 0666));
  if (!lock_.open()) refuse(path_, fmt::format("cannot write here: {}", errno_text(errno)));
  int result;
  do {
    result = ::flock(lock_.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EWOULDBLOCK) {
    refuse(path_, fmt::format("cannot lock the run folder: {}", errno_text(errno)));
  }
  if (result != 0) {
    std::array<char, 300> owner{};
    const ssize_t count = ::pread(lock_.get(), owner.data(), owner.size() - 1, 0);
    refuse(path_,
           fmt::format("another run is writing here ({}); choose another folder with --run, or "
                       "wait (the lock goes with the process)",
                       count > 0 ? owner.data() : "not said which"));
  }
  const std::string text = owner_text();
  const int error_number = ::ftruncate(lock_.get(), 0) != 0
                               ? errno
                               : write_fully(lock_.get(), std::as_bytes(std::span(text)));
  if (error_number != 0) throw_file_error(path_ + "/run.lock", "write", error_number);
  remove_stale_temporaries(path_);
}

RunFolder RunFolder::create(const std::string& path) {
  std::error_code ignored;  // what matters shows at the folder itself
  fs::create_directories(folder_of(path), ignored);
  const int error_number = make_folder(path);
  if (error_number == EEXIST) {
    refuse(path, "exists already; name a new folder, or go on with the run in it by --resume");
  }
  if (error_number != 0) {
    refuse(path, fmt::format("cannot make the run folder: {}", errno_text(error_number)));
  }
  return RunFolder(path);
}

RunFolder RunFolder::create_numbered(const std::string& parent, const std::string& name) {
  std::error_code ignored;
  fs::create_directories(parent, ignored);
  for (std::int64_t number = highest_number(parent, name) + 1;; ++number) {
    const std::string path = fmt::format("{}/{}-{}", parent, name, number);
    const int error_number = make_folder(path);
    if (error_number == 0) return RunFolder(path);
    if (error_number != EEXIST) {
      refuse(path, fmt::format("cannot make the run folder: {}", errno_text(error_number)));
    }
  }
}

RunFolder RunFolder::open(const std::string& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) refuse(path, "is no run folder, so it cannot be resumed");
  return RunFolder(path);
}

std::string newest_run_folder(const std::string& parent) {
  std::string newest;
  fs::file_time_type newest_time;
  std::error_code code;
  for (fs::directory_iterator run(parent, code), end; !code && run != end; run.increment(code)) {
    std::error_code inner;
    for (fs::directory_iterator file(run->path(), inner); !inner && file != end;
         file.increment(inner)) {
      const std::string name = file->path().filename().string();
      if (!name.starts_with("ckpt-") || !name.ends_with(".safetensors")) continue;
      std::error_code missing;
      const auto time = file->last_write_time(missing);
      if (missing || (!newest.empty() && time <= newest_time)) continue;
      newest = run->path().string();
      newest_time = time;
    }
  }
  if (newest.empty()) {
    refuse(parent, "holds no run with a checkpoint; name the run: --resume RUN_DIR");
  }
  return newest;
}

}  // namespace daybreak
