#include "io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

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

int files_in(const std::string& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, ReplacesAsAWhole) {
  const TempFolder folder;
  const std::string path = folder / "a.txt";
  write_text(path, "old");
  {
    AtomicFile file(path);
    file.write("new ");
    file.write("content");
    EXPECT_EQ(read_text(path), "old") << "nothing shows before commit()";
    file.commit();
  }
  EXPECT_EQ(read_text(path), "new content");
  EXPECT_EQ(files_in(folder.path()), 1);
}

TEST(AtomicFile, AbandonedLeavesNothing) {
  const TempFolder folder;
  {
    AtomicFile file(folder / "a.txt", 1000);
    file.write("part");
    EXPECT_EQ(files_in(folder.path()), 1);
  }
  EXPECT_EQ(files_in(folder.path()), 0);
}

TEST(AtomicFile, ReadsBackWhatWasWritten) {
  const TempFolder folder;
  AtomicFile file(folder / "a.bin");
  std::string text(3'000'000, 'x');
  for (std::size_t i = 0; i < text.size(); i += 7) text[i] = static_cast<char>(i);
  file.write(text);
  std::string back;
  file.read_back([&](std::span<const std::byte> bytes) {
    back.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  EXPECT_EQ(back, text);
  file.commit();
  EXPECT_EQ(read_text(folder / "a.bin"), text);
}

TEST(AtomicFile, StaleTemporaryOfTheSamePidIsNoObstacle) {
  const TempFolder folder;
  const std::string path = folder / "ckpt-7.safetensors";
  EXPECT_EQ(temporary_name(path, 0), folder / (".ckpt-7." + std::to_string(::getpid()) + ".tmp"));
  write_text(temporary_name(path, 0), "left by a process with this pid in another container");
  write_file_atomically(path, "x");
  EXPECT_EQ(read_text(path), "x");
  EXPECT_EQ(files_in(folder.path()), 2);
  EXPECT_EQ(remove_stale_temporaries(folder.path()), 1);
  EXPECT_EQ(files_in(folder.path()), 1);
}

TEST(AtomicFile, StaleRemovalTakesOnlyTemporaries) {
  const TempFolder folder;
  for (const char* name : {"a.tmp", ".b", "c.safetensors", ".d.1.tmp.keep"}) {
    write_text(folder / name, "x");
  }
  fs::create_directory(folder / ".folder.tmp");
  fs::create_symlink("nowhere", folder / ".last.1.tmp");
  EXPECT_EQ(remove_stale_temporaries(folder.path()), 1);
  EXPECT_EQ(files_in(folder.path()), 5);
  EXPECT_EQ(remove_stale_temporaries(folder / "missing"), 0);
}

TEST(AtomicFile, MissingFolderIsSaid) {
  const TempFolder folder;
  const auto write = [&] { write_file_atomically(folder / "no/a.txt", "x"); };
  const std::string message = message_of<DeviceError>(write);
  EXPECT_THAT(message, HasSubstr(folder / "no/a.txt"));
  EXPECT_THAT(message, HasSubstr("No such file or directory"));
}

TEST(AtomicFile, TargetThatIsAFolderIsSaidAndCleanedUp) {
  const TempFolder folder;
  fs::create_directory(folder / "a");
  const auto write = [&] { write_file_atomically(folder / "a", "x"); };
  EXPECT_THAT(message_of<DeviceError>(write), HasSubstr("is a folder"));
  EXPECT_EQ(files_in(folder.path()), 1);
}

TEST(AtomicFile, ADeviceOrPipeKeepsItsPlace) {
  const TempFolder folder;
  const std::string pipe = folder / "pipe", link = folder / "link";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/null", link);
  for (const std::string& target : {pipe, link}) {
    const auto write = [&] { write_file_atomically(target, "x"); };
    EXPECT_THAT(message_of<DeviceError>(write), HasSubstr("is no regular file"));
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(files_in(folder.path()), 2);
}

/// Limits the size of files for as long as it lives; SIGXFSZ is ignored so that EFBIG arrives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(AtomicFile, TooLargeKeepsTheOldFile) {
  const TempFolder folder;
  const std::string path = folder / "a.bin";
  write_text(path, "old");
  const std::string text(100'000, 'x');
  std::string reserved, written;
  {
    const FileSizeLimit limit(65'536);
    reserved = message_of<DeviceError>([&] { write_file_atomically(path, text); });
    written = message_of<DeviceError>([&] {
      AtomicFile file(path);
      file.write(text);  // the first write is short, the second fails
    });
  }
  EXPECT_THAT(reserved, HasSubstr("File too large"));
  EXPECT_THAT(reserved, HasSubstr("need 100.0 kB"));
  EXPECT_THAT(written, HasSubstr("File too large"));
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1);
}

TEST(AtomicFile, LinksReplaceWhatWasThere) {
  const TempFolder folder;
  write_text(folder / "a", "A");
  write_text(folder / "b", "B");
  ASSERT_TRUE(replace_with_hard_link(folder / "a", folder / "best"));
  ASSERT_TRUE(replace_with_hard_link(folder / "b", folder / "best"));
  ASSERT_TRUE(replace_with_hard_link(folder / "b", folder / "best")) << "the same file again";
  EXPECT_EQ(read_text(folder / "best"), "B");
  EXPECT_EQ(read_text(folder / "a"), "A");
  ASSERT_TRUE(replace_with_symlink("a", folder / "last"));
  ASSERT_TRUE(replace_with_symlink("b", folder / "last"));
  EXPECT_EQ(fs::read_symlink(folder / "last"), "b");
  EXPECT_EQ(files_in(folder.path()), 4) << "no temporary is left";
  const auto link = [&] { replace_with_hard_link(folder / "none", folder / "best"); };
  EXPECT_THAT(message_of<DeviceError>(link), HasSubstr("No such file"));
}

TEST(PosixFile, OnlyRegularFilesAreRead) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_symlink("loop", folder / "loop");
  write_text(folder / "empty", "");
  write_text(folder / "text", "12345");
  const auto read = [&](const std::string& name, std::uint64_t limit = UINT64_MAX) {
    return message_of<DataError>([&] { read_whole_file(folder / name, limit); });
  };
  EXPECT_THAT(read("pipe"), HasSubstr("is a pipe")) << "and does not wait for a writer";
  EXPECT_THAT(read("."), HasSubstr("is a folder"));
  EXPECT_THAT(read("loop"), HasSubstr("Too many levels of symbolic links"));
  EXPECT_THAT(read("none"), HasSubstr("No such file"));
  EXPECT_THAT(read("text", 4), HasSubstr("expected at most 4 B"));
  EXPECT_EQ(read_whole_file(folder / "text", 5).size, 5u);
  EXPECT_EQ(read_whole_file(folder / "empty").size, 0u);
}

}  // namespace
}  // namespace daybreak
