// Kills a saving process at every system call of a save, and lets every call fail, by strace's
// injection. Whatever happens, the run folder must load as the old or the new checkpoint.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/philox.h"
#include "support/temp_folder.h"
#include "train/checkpoint_file.h"
#include "train/run_folder.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::TempFolder;
using ::testing::HasSubstr;

// A save in the tracer's hands runs on the main thread (starting a thread fails with EAGAIN), so
// that one counter of calls sees it from start to end.
constexpr const char* kOneThread = "-e inject=clone,clone3:error=EAGAIN";

int run(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Calls of one kind made by a save: the first and the last, counted from the process's start.
struct CallRange {
  int first = 0, last = 0;
};

class FaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Leak checking needs ptrace for itself.
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    const std::string probe = fmt::format("strace -f -o /dev/null {} true 2>/dev/null", kOneThread);
    if (run(probe) != 0) GTEST_SKIP() << "strace is not installed or may not trace here";
    fs::create_directory(folder_ / "template");
    ASSERT_EQ(run(fmt::format("{} save {} 100", CHECKPOINT_FAULT_HELPER, folder_ / "template")), 0);
    list_calls();
  }

  /// A fresh copy of a run folder whose newest checkpoint is of step 100.
  std::string fresh() {
    const std::string copy = folder_ / fmt::format("run-{}", ++copies_);
    fs::copy(folder_ / "template", copy,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    return copy;
  }

  /// Saves step 200 under strace with more options; returns the exit code.
  int save(const std::string& run_dir, const std::string& options) {
    return run(fmt::format("strace -f -o {} {} {} {} save {} 200 2>{}", folder_ / "trace",
                           kOneThread, options, CHECKPOINT_FAULT_HELPER, run_dir,
                           folder_ / "stderr"));
  }

  /// Loads the newest checkpoint and checks that it is of one piece; returns its step.
  static std::int64_t loaded_step(const std::string& run_dir) {
    const CheckpointData data = CheckpointStore(run_dir, 1).load_newest();
    const std::int64_t step = std::stoll(data.meta.at("step"));
    for (const NamedTensor& tensor : data.tensors) {
      for (const float value : tensor.values) EXPECT_EQ(value, static_cast<float>(step));
    }
    EXPECT_EQ(data.tensors.size(), 2u);
    return step;
  }

  /// After any fault: resume works, leaves no temporaries, and the next save is whole.
  static void expect_usable(const std::string& run_dir) {
    const RunFolder folder = RunFolder::open(run_dir);
    for (const auto& entry : fs::directory_iterator(run_dir)) {
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    }
    EXPECT_EQ(fs::read_symlink(run_dir + "/last.safetensors").string().substr(0, 5), "ckpt-");
    EXPECT_NO_THROW(read_checkpoint(run_dir + "/best.safetensors"));
    CheckpointStore store(run_dir, 1);
    CheckpointData next = store.load_newest();
    next.meta["step"] = "300";
    for (NamedTensor& tensor : next.tensors) tensor.values.assign(tensor.values.size(), 300.0f);
    store.save(300, next, /*best=*/false);
    store.finish();
    EXPECT_EQ(loaded_step(run_dir), 300);
  }

  std::map<std::string, CallRange> calls_;
  TempFolder folder_;

 private:
  /// Traces an undisturbed save and notes which calls it makes.
  void list_calls() {
    // Memory, threads and time are not the save's business.
    const std::set<std::string> ignored = {"brk",       "mmap",          "munmap", "mprotect",
                                           "madvise",   "futex",         "clone",  "clone3",
                                           "mremap",    "clock_gettime", "gettid", "rt_sigprocmask",
                                           "getrandom", "getpid",        "access", "sched_yield"};
    ASSERT_EQ(save(fresh(), ""), 0) << read_text(folder_ / "stderr");
    std::istringstream trace(read_text(folder_ / "trace"));
    bool saving = false;
    std::map<std::string, int> counts;
    for (std::string line; std::getline(trace, line);) {
      const std::size_t space = line.find_first_not_of(" 0123456789");
      const std::size_t paren = line.find('(');
      if (space == line.npos || paren == line.npos || paren < space) continue;
      const std::string call = line.substr(space, paren - space);
      if (call.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != call.npos) continue;
      const int number = ++counts[call];
      if (line.find("/daybreak-save-begins") != line.npos) saving = true;
      if (line.find("/daybreak-save-ends") != line.npos) saving = false;
      if (!saving || ignored.contains(call)) continue;
      if (calls_[call].first == 0) calls_[call].first = number;
      calls_[call].last = number;
    }
    for (const char* call : {"fallocate", "write", "pread64", "fsync", "close", "rename", "link"}) {
      EXPECT_TRUE(calls_.contains(call)) << call << " is part of every save";
    }
  }

  int copies_ = 0;
};

TEST_F(FaultTest, EveryCallMayFail) {
  int faults = 0, failed_saves = 0;
  for (const auto& [call, range] : calls_) {
    for (int number = range.first; number <= range.last; ++number) {
      for (const auto& [error, text] : {std::pair("ENOSPC", "No space left on device"),
                                        std::pair("EIO", "Input/output error")}) {
        const std::string run_dir = fresh();
        const std::string where = fmt::format("{} of call {} number {}", error, call, number);
        const int code =
            save(run_dir, fmt::format("-e inject={}:error={}:when={}", call, error, number));
        ASSERT_TRUE(code == 0 || code == 5) << where << " ends with " << code;
        const std::int64_t step = loaded_step(run_dir);
        if (code == 0) {
          EXPECT_EQ(step, 200) << where;
        } else {
          ++failed_saves;
          EXPECT_TRUE(step == 100 || step == 200) << where << ": " << step;
          EXPECT_THAT(read_text(folder_ / "stderr"), HasSubstr(text)) << where;
        }
        expect_usable(run_dir);
        fs::remove_all(run_dir);
        ++faults;
      }
    }
  }
  EXPECT_GE(faults, 50);
  EXPECT_GE(failed_saves, 20) << "injection does not reach the save";
}

TEST_F(FaultTest, KilledAtEveryCall) {
  int kills = 0;
  std::set<std::int64_t> steps;
  for (const auto& [call, range] : calls_) {
    for (int number = range.first; number <= range.last; ++number) {
      const std::string run_dir = fresh();
      const std::string where = fmt::format("killed at call {} number {}", call, number);
      const int code = save(run_dir, fmt::format("-e inject={}:signal=KILL:when={}", call, number));
      ASSERT_EQ(code, 128 + SIGKILL) << where;
      const std::int64_t step = loaded_step(run_dir);
      EXPECT_TRUE(step == 100 || step == 200) << where << ": " << step;
      steps.insert(step);
      expect_usable(run_dir);
      fs::remove_all(run_dir);
      ++kills;
    }
  }
  EXPECT_GE(kills, 25);
  EXPECT_EQ(steps.size(), 2u) << "both outcomes must be seen";
}

TEST(Faults, KilledAtRandomTimes) {
  const TempFolder folder;
  Draws draws(11, Purpose::synthetic, 0, 0);
  std::int64_t newest = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string step = std::to_string(newest + 1);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execl(CHECKPOINT_FAULT_HELPER, CHECKPOINT_FAULT_HELPER, "loop", folder.path().c_str(),
              step.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ASSERT_GT(pid, 0);
    // At least one checkpoint must come; then anything may be under way.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const std::string last = folder / "last.safetensors";
    while (round == 0 && !fs::exists(last) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(5000 + draws.below(40000)));
    ::kill(pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the process ended by itself";
    const RunFolder lock = RunFolder::open(folder.path());
    const CheckpointData data = CheckpointStore(folder.path(), 1).load_newest();
    const std::int64_t found = std::stoll(data.meta.at("step"));
    EXPECT_GE(found, newest) << "nothing older is lost";
    for (const NamedTensor& tensor : data.tensors) {
      for (const float value : tensor.values) ASSERT_EQ(value, static_cast<float>(found));
    }
    newest = found;
  }
  EXPECT_GT(newest, 20) << "saves must have happened";
}

TEST(Faults, FullDisk) {
  const TempFolder folder;
  const std::string mount = folder / "disk";
  fs::create_directory(mount);
  // 40 kB hold two checkpoints of about 4.6 kB (pages of 4 kB), until the rest is filled.
  const std::string script = fmt::format(
      "mount -t tmpfs -o size=40k tmpfs {0} || exit 77; {1} save {0} 100 || exit 78; "
      "cat /dev/zero > {0}/filler 2>/dev/null; {1} save {0} 200 2>{2}; echo $? > {3}; {1} load {0} "
      "> {4}",
      mount, CHECKPOINT_FAULT_HELPER, folder / "stderr", folder / "code", folder / "loaded");
  const int code = run(fmt::format("unshare -rm sh -c '{}' 2>/dev/null", script));
  if (code == 77 || code == 1 || code == 127) GTEST_SKIP() << "no tmpfs can be mounted here";
  ASSERT_EQ(code, 0);
  EXPECT_EQ(read_text(folder / "code"), "5\n");
  EXPECT_EQ(read_text(folder / "loaded"), "100 100\n");
  EXPECT_THAT(read_text(folder / "stderr"), HasSubstr("No space left on device (need"));
}

}  // namespace
}  // namespace daybreak
