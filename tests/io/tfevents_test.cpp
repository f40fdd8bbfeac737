#include "io/tfevents.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "core/error.h"
#include "io/crc32c.h"
#include "support/temp_folder.h"

namespace daybreak {
namespace {

using test::TempFolder;

template <typename T>
T number_at(const std::string& text, std::size_t at) {
  T value{};
  std::memcpy(&value, text.data() + at, sizeof value);
  return value;
}

std::uint32_t masked(const std::string& text) {
  return masked_crc32c(std::as_bytes(std::span(text)));
}

/// Splits a file into records and checks both check sums of each.
std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at + 16 <= file.size()) {
    const auto length = static_cast<std::size_t>(number_at<std::uint64_t>(file, at));
    EXPECT_EQ(number_at<std::uint32_t>(file, at + 8), masked(file.substr(at, 8)));
    if (length > file.size() - at - 16) break;
    records.push_back(file.substr(at + 12, length));
    EXPECT_EQ(number_at<std::uint32_t>(file, at + 12 + length), masked(records.back()));
    at += 16 + length;
  }
  EXPECT_EQ(at, file.size());
  return records;
}

TEST(TfEvents, RecordsAreWireCompatible) {
  const TempFolder folder;
  std::string path;
  {
    TfEventsWriter writer(folder.path());
    path = writer.path();
    writer.scalar("loss", 300, 0.5, 1.5);
    writer.scalar("zero", 1, 0.0, 2.5);
  }
  EXPECT_TRUE(std::filesystem::path(path).filename().string().starts_with("events.out.tfevents."));
  const std::vector<std::string> records = records_of(test::read_text(path));
  ASSERT_EQ(records.size(), 3u);
  // Field 1 (wall_time) double, field 3 (file_version) string.
  EXPECT_EQ(records[0][0], '\x09');
  EXPECT_EQ(records[0].substr(9), std::string("\x1a\x0d") + "brain.Event:2");
  // wall_time 1.5; field 2 (step) varint 300; field 5 (summary): field 1 (value): tag,
  // simple_value.
  const std::string expected = std::string("\x09\x00\x00\x00\x00\x00\x00\xf8\x3f", 9) +
                               "\x10\xac\x02" + "\x2a\x0d" + "\x0a\x0b" + "\x0a\x04loss" +
                               std::string("\x15\x00\x00\x00\x3f", 5);
  EXPECT_EQ(records[1], expected);
  EXPECT_EQ(records[2].substr(records[2].size() - 5), std::string("\x15\x00\x00\x00\x00", 5))
      << "a value of zero is written, not left out";
}

TEST(TfEvents, EveryWriterGetsItsOwnFile) {
  const TempFolder folder;
  const TfEventsWriter first(folder.path()), second(folder.path());
  EXPECT_NE(first.path(), second.path());
}

TEST(TfEvents, MissingFolderIsSaid) {
  const TempFolder folder;
  EXPECT_THROW(TfEventsWriter(folder / "none"), DeviceError);
}

}  // namespace
}  // namespace daybreak
