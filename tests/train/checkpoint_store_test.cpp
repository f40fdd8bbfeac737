#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <sstream>

#include "core/error.h"
#include "support/temp_folder.h"
#include "train/checkpoint_file.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::read_text;
using test::TempFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

CheckpointData content(std::int64_t step, std::size_t count = 100) {
  CheckpointData data;
  data.meta = {{"step", std::to_string(step)}, {"config", "net: {a: \"b\"}\n"}};
  data.tensors = {{"conv.weight",
                   {static_cast<std::int64_t>(count)},
                   std::vector<float>(count, static_cast<float>(step))}};
  return data;
}

void save(CheckpointStore& store, std::int64_t step, bool best = false) {
  store.save(step, content(step), best);
  store.finish();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// Collects what is logged while it lives.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

std::string name_of(std::int64_t step) {
  std::ostringstream name;
  name << "ckpt-" << std::setw(7) << std::setfill('0') << step << ".safetensors";
  return name.str();
}

TEST(CheckpointStore, KeepsTheNewestAndTheBest) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 2);
  save(store, 10);
  save(store, 20, /*best=*/true);
  save(store, 30);
  save(store, 40);
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("best.safetensors", name_of(30), name_of(40), "last.safetensors"));
  EXPECT_EQ(fs::read_symlink(folder / "last.safetensors"), name_of(40));
  EXPECT_EQ(read_checkpoint(folder / "best.safetensors").meta.at("step"), "20");
  EXPECT_EQ(read_checkpoint(folder / "last.safetensors").meta.at("step"), "40");
  const CheckpointData newest = store.load_newest();
  EXPECT_EQ(newest.path, folder / name_of(40));
  EXPECT_EQ(newest.meta.at("config"), "net: {a: \"b\"}\n");
  EXPECT_EQ(newest.tensors.at(0).values, std::vector<float>(100, 40.0f));
  EXPECT_EQ(newest.tensors.at(0).dims, std::vector<std::int64_t>{100});
}

TEST(CheckpointStore, WhatWasLoadedCanBeSavedAgain) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 3);
  save(store, 10);
  const std::string first = read_text(folder / name_of(10));
  store.save(10, store.load_newest(), /*best=*/false);
  store.finish();
  EXPECT_EQ(read_text(folder / name_of(10)), first);
  EXPECT_EQ(fs::file_size(folder / name_of(10)),
            saved_bytes(store.load_newest().tensors, store.load_newest().meta));
}

TEST(CheckpointStore, SavesInTheBackgroundOneAtATime) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 100);
  for (std::int64_t step = 1; step <= 20; ++step) {
    store.save(step, content(step, 20000), step % 3 == 0);
    store.poll();
  }
  store.finish();
  EXPECT_EQ(names_in(folder.path()).size(), 22u);
  EXPECT_EQ(store.load_newest().meta.at("step"), "20");
  EXPECT_EQ(read_checkpoint(folder / "best.safetensors").meta.at("step"), "18");
}

TEST(CheckpointStore, TheDestructorWaits) {
  const TempFolder folder;
  CheckpointStore(folder.path(), 1).save(5, content(5, 100000), /*best=*/true);
  EXPECT_EQ(CheckpointStore(folder.path(), 1).load_newest().meta.at("step"), "5");
}

TEST(CheckpointStore, DamagedOnesArePassedOver) {
  for (const char* damage : {"bit", "cut", "empty", "pipe", "folder", "loop", "other", "plain"}) {
    const TempFolder folder;
    CheckpointStore store(folder.path(), 3);
    save(store, 10);
    save(store, 25);
    const std::string path = folder / name_of(25);
    std::string text = read_text(path);
    const std::string kind = damage;
    if (kind == "bit") text[text.size() - 7] ^= 4;
    if (kind == "cut") text.resize(text.size() / 2);
    if (kind == "empty") text.clear();
    fs::remove(path);
    if (kind == "pipe") {
      ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    } else if (kind == "folder") {
      fs::create_directory(path);
    } else if (kind == "loop") {
      fs::create_symlink(name_of(25), path);
    } else if (kind == "other") {
      fs::copy_file(folder / name_of(10), path);  // a good file under another step's name
    } else if (kind == "plain") {
      write_text(path, std::string("\x02\0\0\0\0\0\0\0{}", 10));  // no digest
    } else {
      write_text(path, text);
    }
    const LogCapture log;
    const CheckpointData data = store.load_newest();
    EXPECT_EQ(data.meta.at("step"), "10") << kind;
    EXPECT_THAT(log.text(), HasSubstr(name_of(25))) << kind;
    EXPECT_THAT(log.text(), HasSubstr("not used")) << kind;
    EXPECT_THAT(log.text(), HasSubstr("15 steps are trained again")) << kind;
    if (kind == "bit") {
      EXPECT_THAT(log.text(), HasSubstr("digest does not match"));
    }
    // A save of a step before the damaged one must not be pushed out by it.
    CheckpointStore next(folder.path(), 1);
    save(next, 12);
    EXPECT_EQ(next.load_newest().meta.at("step"), "12") << kind;
  }
}

TEST(CheckpointStore, NothingToResumeFrom) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 3);
  EXPECT_THAT(message_of<DataError>([&] { store.load_newest(); }),
              HasSubstr("there is no checkpoint"));
  write_text(folder / "ckpt-x.safetensors", "");
  write_text(folder / "ckpt--5.safetensors", "");
  EXPECT_THAT(message_of<DataError>([&] { store.load_newest(); }),
              HasSubstr("there is no checkpoint"));
  write_text(folder / name_of(5), "rubbish!rubbish!");
  const std::string message = message_of<DataError>([&] { store.load_newest(); });
  EXPECT_THAT(message, HasSubstr("none of 1 checkpoints can be used"));
  EXPECT_THAT(message, HasSubstr("is this a safetensors file"));
}

TEST(CheckpointStore, LinksLostInACrashAreMended) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 3);
  save(store, 10);
  save(store, 20, /*best=*/true);
  fs::remove(folder / "best.safetensors");
  fs::remove(folder / "last.safetensors");
  fs::create_symlink(name_of(10), folder / "last.safetensors");
  store.load_newest();
  EXPECT_EQ(read_checkpoint(folder / "best.safetensors").meta.at("step"), "20");
  EXPECT_EQ(fs::read_symlink(folder / "last.safetensors"), name_of(20));
  // A newest checkpoint that is not the best leaves the best alone.
  save(store, 30);
  store.load_newest();
  EXPECT_EQ(read_checkpoint(folder / "best.safetensors").meta.at("step"), "20");
}

TEST(CheckpointStore, FailedSavesWarnAndTheThirdEndsTheTraining) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 3);
  save(store, 10);
  for (std::int64_t step : {20, 30, 50, 60, 70}) {
    fs::create_directory(folder / name_of(step));  // the rename to this name fails
  }
  const LogCapture log;
  store.save(20, content(20), false);
  store.save(30, content(30), false);
  store.save(40, content(40), false);  // says the second failure, and works
  store.finish();
  EXPECT_THAT(log.text(), HasSubstr("cannot save step 20"));
  EXPECT_THAT(log.text(), HasSubstr("is a folder"));
  EXPECT_THAT(log.text(), HasSubstr("step 10 is safe"));
  EXPECT_THAT(log.text(), HasSubstr("after 1 more failure the run stops with exit code 5"));
  store.save(50, content(50), false);
  EXPECT_THAT(message_of<DeviceError>([&] { store.finish(); }), HasSubstr("cannot save step 50"))
      << "the newest state is not on the disk";
  store.save(60, content(60), false);
  store.save(70, content(70), false);
  const std::string message = message_of<DeviceError>([&] { store.save(80, content(80), false); });
  EXPECT_THAT(message, HasSubstr("cannot save step 70"));
  EXPECT_THAT(message, HasSubstr("step 40 is safe"));
  EXPECT_EQ(read_checkpoint(folder / name_of(40)).meta.at("step"), "40");
  for (const std::string& name : names_in(folder.path()))
    EXPECT_FALSE(name.ends_with(".tmp")) << name;
}

TEST(CheckpointStore, FolderDeletedMeanwhile) {
  const TempFolder folder;
  fs::create_directory(folder / "run");
  CheckpointStore store(folder / "run", 3);
  fs::remove_all(folder / "run");
  store.save(1, content(1), true);
  EXPECT_THAT(message_of<DeviceError>([&] { store.finish(); }),
              HasSubstr("No such file or directory"));
}

TEST(CheckpointStore, NonFiniteValuesNeverReplaceAGoodFile) {
  const TempFolder folder;
  CheckpointStore store(folder.path(), 1);
  save(store, 10, /*best=*/true);
  for (const float bad : {NAN, -INFINITY}) {
    CheckpointData data = content(20);
    data.tensors[0].values[57] = bad;
    store.save(20, data, /*best=*/true);
    const std::string message = message_of<DivergenceError>([&] { store.finish(); });
    EXPECT_THAT(message, HasSubstr("\"conv.weight\""));
    EXPECT_THAT(message, HasSubstr("at step 20"));
  }
  EXPECT_EQ(store.load_newest().meta.at("step"), "10");
  EXPECT_EQ(read_checkpoint(folder / "best.safetensors").meta.at("step"), "10");
}

TEST(CheckpointStore, SpaceIsCheckedBeforehand) {
  const TempFolder folder;
  const CheckpointStore store(folder.path(), 3);
  EXPECT_NO_THROW(store.check_space(1000));
  const std::string message =
      message_of<DeviceError>([&] { store.check_space(std::uint64_t{1} << 55); });
  EXPECT_THAT(message, HasSubstr("4 checkpoints of"));
  EXPECT_THAT(message, HasSubstr("are free"));
}

TEST(ReadTensors, WeightsNeedNoDigestButAWrongOneIsAnError) {
  const TempFolder folder;
  save_tensors(folder / "a", content(3).tensors, {});
  EXPECT_EQ(read_tensors(folder / "a").at(0).values.at(0), 3.0f);
  std::string text = read_text(folder / "a");
  text.back() ^= 1;
  write_text(folder / "a", text);
  EXPECT_THAT(message_of<DataError>([&] { read_tensors(folder / "a"); }), HasSubstr("damaged"));
}

TEST(CompareTensors, ListsEveryMisfit) {
  const std::vector<TensorSignature> expected = {{"conv1.weight", {64, 3, 3, 3}},
                                                 {"conv1.bias", {64}},
                                                 {"head.weight", {10, 512}},
                                                 {"bn.mean", {64}}};
  std::vector<NamedTensor> found = {{"conv1.weight", {64, 3, 3, 3}, {}},
                                    {"conv1.biases", {64}, {}},
                                    {"head.weight", {1000, 512}, {}},
                                    {"extra", {}, {}}};
  const TensorComparison comparison = compare_tensors(expected, found);
  EXPECT_EQ(comparison.matched, 1u);
  EXPECT_THAT(
      comparison.lines,
      ElementsAre("missing: \"conv1.bias\" (64), nearest is \"conv1.biases\"",
                  "shape: \"head.weight\" is 1000 x 512 in the file, 10 x 512 in the network",
                  "missing: \"bn.mean\" (64)", "unexpected: \"conv1.biases\" (64)",
                  "unexpected: \"extra\" (scalar)"));
  const std::string message =
      message_of<DataError>([&] { check_tensors("w.safetensors", expected, found); });
  EXPECT_TRUE(
      message.starts_with("w.safetensors: error: does not fit the network: 1 of 4 tensors match, "
                          "2 missing, 2 unexpected, 1 of another shape\n"))
      << message;
  EXPECT_THAT(message, HasSubstr("--init w.safetensors"));
  EXPECT_NO_THROW(check_tensors("w", {{"extra", {}}}, {found.back()}));
}

TEST(CompareTensors, LongListsAreCut) {
  std::vector<TensorSignature> expected;
  for (int i = 0; i < 5000; ++i) expected.push_back({"layer" + std::to_string(i), {1}});
  const std::string message = message_of<DataError>([&] { check_tensors("w", expected, {}); });
  EXPECT_THAT(message, HasSubstr("5000 missing"));
  EXPECT_THAT(message, HasSubstr("... and 4980 more"));
  EXPECT_LT(message.size(), 2000u);
}

}  // namespace
}  // namespace daybreak
