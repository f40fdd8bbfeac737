#include "train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "core/error.h"
#include "support/temp_folder.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::read_text;
using test::TempFolder;
using test::write_text;
using ::testing::HasSubstr;

TEST(RunFolder, NumbersGoUp) {
  const TempFolder folder;
  const std::string root = folder / "a/runs";
  EXPECT_EQ(RunFolder::create_numbered(root, "mnist").path(), root + "/mnist-1");
  EXPECT_EQ(RunFolder::create_numbered(root, "mnist").path(), root + "/mnist-2");
  fs::create_directory(root + "/mnist-17");
  fs::create_directory(root + "/mnist-big-99");
  write_text(root + "/mnist-x", "");
  EXPECT_EQ(RunFolder::create_numbered(root, "mnist").path(), root + "/mnist-18");
  EXPECT_EQ(RunFolder::create_numbered(root, "mnist-big").path(), root + "/mnist-big-100");
}

TEST(RunFolder, StartsAtOnceGetFoldersOfTheirOwn) {
  const TempFolder folder;
  std::vector<std::string> paths(8);
  std::vector<std::thread> threads;
  for (std::string& path : paths) {
    threads.emplace_back([&] { path = RunFolder::create_numbered(folder.path(), "r").path(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), 8u);
}

TEST(RunFolder, NeverAnExistingFolder) {
  const TempFolder folder;
  const std::string path = folder / "new/run";
  EXPECT_EQ(RunFolder::create(path).path(), path);
  const std::string message = message_of<ConfigError>([&] { RunFolder::create(path); });
  EXPECT_EQ(message.find(path + ": error: exists already"), 0u) << message;
  write_text(folder / "file", "");
  EXPECT_THAT(message_of<ConfigError>([&] { RunFolder::create(folder / "file/run"); }),
              HasSubstr("Not a directory"));
  EXPECT_THAT(message_of<ConfigError>([&] { RunFolder::create_numbered(folder / "file", "x"); }),
              HasSubstr("Not a directory"));
}

TEST(RunFolder, ASecondWriterIsRefused) {
  const TempFolder folder;
  {
    const RunFolder first = RunFolder::create(folder / "run");
    const std::string message = message_of<ConfigError>([&] { RunFolder::open(folder / "run"); });
    EXPECT_THAT(message, HasSubstr(folder / "run: error: another run is writing here (pid " +
                                   std::to_string(::getpid()) + " on host "));
    EXPECT_THAT(message, ::testing::ContainsRegex("since 20[0-9-]+T[0-9:]+Z"));
  }
  EXPECT_NO_THROW(RunFolder::open(folder / "run")) << "the lock goes with its owner";
  EXPECT_THAT(message_of<ConfigError>([&] { RunFolder::open(folder / "none"); }),
              HasSubstr("is no run folder"));
}

TEST(RunFolder, ResumingRemovesStaleTemporaries) {
  const TempFolder folder;
  fs::create_directory(folder / "run");
  write_text(folder / "run/.ckpt-0000010.99.tmp", "half");
  write_text(folder / "run/ckpt-0000009.safetensors", "x");
  const RunFolder run = RunFolder::open(folder / "run");
  EXPECT_FALSE(fs::exists(folder / "run/.ckpt-0000010.99.tmp"));
  EXPECT_TRUE(fs::exists(folder / "run/ckpt-0000009.safetensors"));
}

TEST(RunFolder, NewestHasTheNewestCheckpoint) {
  const TempFolder folder;
  EXPECT_THAT(message_of<ConfigError>([&] { newest_run_folder(folder.path()); }),
              HasSubstr("holds no run with a checkpoint"));
  EXPECT_THROW(newest_run_folder(folder / "none"), ConfigError);
  for (const char* name : {"a", "b", "c"}) fs::create_directory(folder / name);
  const auto now = fs::file_time_type::clock::now();
  const auto put = [&](const std::string& name, int age_s) {
    write_text(folder / name, "x");
    fs::last_write_time(folder / name, now - std::chrono::seconds(age_s));
  };
  put("a/ckpt-0000001.safetensors", 100);
  put("a/ckpt-0000002.safetensors", 10);
  put("b/ckpt-0000009.safetensors", 50);
  put("c/results.csv", 1);
  EXPECT_EQ(newest_run_folder(folder.path()), folder / "a");
}

}  // namespace
}  // namespace daybreak
