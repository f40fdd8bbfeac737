#include "plan/tune_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "support/temp_folder.h"

namespace daybreak {
namespace {

class TuneCacheTest : public testing::Test {
 protected:
  std::string path() const { return folder_ / "a/b/tune.json"; }
  void put(const std::string& machine, const std::string& key, const std::string& kernel) const {
    TuneCache cache(path(), machine);
    cache.put(key, {kernel, 0.5, {{kernel, 0.5}, {"other", 0.75}}});
    cache.save();
  }
  std::string kernel(const std::string& machine, const std::string& key) const {
    const TuneCache cache(path(), machine);
    const TuneEntry* entry = cache.find(key);
    return entry ? entry->kernel : "";
  }
  test::TempFolder folder_;
};

TEST_F(TuneCacheTest, KeepsEntriesByMachine) {
  put("m1", "k", "a");
  put("m2", "k", "b");
  EXPECT_EQ(kernel("m1", "k"), "a");
  EXPECT_EQ(kernel("m2", "k"), "b");
  EXPECT_EQ(kernel("m3", "k"), "");
  const TuneCache cache(path(), "m1");
  EXPECT_EQ(cache.find("k")->seconds, 0.5);
  EXPECT_EQ(cache.find("k")->candidates.at("other"), 0.75);
}

TEST_F(TuneCacheTest, MergesWithWhatOthersWroteMeanwhile) {
  TuneCache mine(path(), "m");
  mine.put("mine", {"a", 1.0, {{"a", 1.0}}});
  mine.put_figure("fma_gflops", 200.0);
  put("m", "theirs", "b");
  mine.save();
  EXPECT_EQ(kernel("m", "mine"), "a");
  EXPECT_EQ(kernel("m", "theirs"), "b");
  EXPECT_EQ(TuneCache(path(), "m").figure("fma_gflops"), 200.0);
}

TEST_F(TuneCacheTest, DamagedAndForeignFilesAreReplaced) {
  for (const char* text :
       {"", "{", "[]", "{\"format\": \"else\"}", "\x7f\x00ELF", "{\"format\": 3, \"machines\": {}}",
        "{\"format\": \"daybreak tuning 1\", \"machines\": {\"m\": 3}}",
        "{\"format\": \"daybreak tuning 1\", \"machines\": {\"m\": {\"choices\": {\"k\": 1}, "
        "\"figures\": {}}}}"}) {
    std::filesystem::create_directories(folder_ / "a/b");
    test::write_text(path(), text);
    EXPECT_EQ(kernel("m", "k"), "") << text;
    put("m", "k", "a");
    EXPECT_EQ(kernel("m", "k"), "a") << text;
  }
}

TEST_F(TuneCacheTest, AFolderThatCannotBeMadeIsNoError) {
  test::write_text(folder_ / "a", "a file in the way");
  put("m", "k", "a");
  EXPECT_EQ(kernel("m", "k"), "");
}

TEST_F(TuneCacheTest, PathFollowsTheEnvironment) {
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(default_tune_cache(), "/x/daybreak/tune.json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(default_tune_cache(), "/h/.cache/daybreak/tune.json");
}

}  // namespace
}  // namespace daybreak
