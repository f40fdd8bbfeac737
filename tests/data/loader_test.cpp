#include "data/loader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "core/parallel.h"
#include "data/data_support.h"

namespace daybreak {
namespace {

using test::data_error;
using test::input_of;
using test::spec_for;
using test::TempFolder;
using ::testing::HasSubstr;

Dataset synthetic(int count, int side = 12, int channels = 3) {
  DataSpec spec = spec_for(DataFormat::synthetic, "");
  spec.train_limit = count;
  spec.test_limit = 1;
  return open_data(spec, input_of(side, side, channels)).train;
}

LoaderOptions options_of(int batch, int workers, int side = 12) {
  LoaderOptions options;
  options.batch = batch;
  options.workers = workers;
  options.width = options.height = side;
  options.seed = 11;
  options.transforms = {PadCrop{2}, Flip{}, Cutout{3}};
  return options;
}

/// Everything that a run of batches contains, in one string of bytes.
std::vector<std::int64_t> digest(Loader& loader, int batches) {
  std::vector<std::int64_t> all;
  for (int i = 0; i < batches; ++i) {
    const Batch& batch = loader.next();
    all.insert(all.end(), {batch.count, batch.epoch, batch.offset});
    all.insert(all.end(), batch.labels.begin(), batch.labels.end());
    all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    all.insert(all.end(), batch.images.begin(), batch.images.end());
  }
  return all;
}

TEST(Loader, EverySampleOncePerEpoch) {
  const Dataset data = synthetic(101);
  for (const int workers : {0, 2}) {
    for (const LastBatch last : {LastBatch::drop, LastBatch::keep}) {
      LoaderOptions options = options_of(16, workers);
      options.last_batch = last;
      Loader loader(data, options);
      const bool keep = last == LastBatch::keep;
      EXPECT_EQ(loader.batches_per_epoch(), keep ? 7 : 6);
      for (int epoch = 0; epoch < 3; ++epoch) {
        loader.start(epoch);
        std::multiset<std::int64_t> seen;
        std::int64_t batches = 0;
        while (true) {
          const Batch& batch = loader.next();
          if (batch.count == 0) break;
          ++batches;
          EXPECT_EQ(batch.epoch, epoch);
          EXPECT_EQ(batch.offset, static_cast<std::int64_t>(seen.size()));
          for (int i = 0; i < batch.count; ++i) {
            const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
            seen.insert(index);
            EXPECT_EQ(batch.labels[static_cast<std::size_t>(i)], data.label(index));
          }
        }
        EXPECT_EQ(batches, loader.batches_per_epoch());
        EXPECT_EQ(seen.size(), keep ? 101u : 96u);
        EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), seen.size());
        EXPECT_EQ(loader.next().count, 0);  // and it stays at the end
      }
    }
  }
}

TEST(Loader, WorkersDoNotChangeTheBatches) {
  const Dataset data = synthetic(150);
  std::vector<std::int64_t> reference;
  for (const int workers : {0, 1, 2, 3, 5, 8}) {
    for (const int prefetch : {1, 4}) {
      LoaderOptions options = options_of(40, workers);
      options.prefetch = prefetch;
      options.repeat = true;
      options.transforms.push_back(ColorJitter{0.2, 0.2, 0.2, 0.05});
      options.transforms.push_back(Rotate{});
      Loader loader(data, options);
      loader.start(3);
      const auto got = digest(loader, 10);
      if (reference.empty()) reference = got;
      ASSERT_EQ(got, reference) << workers << " workers, prefetch " << prefetch;
    }
  }
  const int before = compute_threads();
  for (const int threads : {1, 4}) {
    set_compute_threads(threads);
    LoaderOptions options = options_of(40, 0);
    options.repeat = true;
    options.transforms.push_back(ColorJitter{0.2, 0.2, 0.2, 0.05});
    options.transforms.push_back(Rotate{});
    Loader loader(data, options);
    loader.start(3);
    EXPECT_EQ(digest(loader, 10), reference) << threads << " compute threads";
  }
  set_compute_threads(before);
}

TEST(Loader, StreamingEqualsMemory) {
  const TempFolder dir;
  test::write_folder(dir.path(), "train", 3, 9, 14, 11);
  test::write_folder(dir.path(), "test", 3, 1, 14, 11);
  DataSpec spec = spec_for(DataFormat::folder, dir.path());
  std::vector<std::int64_t> reference;
  for (const CacheMode cache : {CacheMode::automatic, CacheMode::none}) {
    spec.cache = cache;
    const Dataset data = open_data(spec, input_of(12, 12, 3)).train;
    for (const int workers : {0, 3}) {
      for (const bool size_changing : {false, true}) {
        LoaderOptions options = options_of(10, workers);
        options.last_batch = LastBatch::keep;
        if (size_changing) options.transforms = {RandomResizedCrop{}};
        Loader loader(data, options);
        loader.start(0);
        auto got = digest(loader, 3);
        if (size_changing) {
          EXPECT_NE(got, reference);
          continue;
        }
        if (reference.empty()) reference = got;
        EXPECT_EQ(got, reference);
      }
    }
  }
}

TEST(Loader, StartsAnywhereAsIfItHadRun) {
  const Dataset data = synthetic(100);
  for (const int workers : {0, 2}) {
    LoaderOptions options = options_of(10, workers);
    options.repeat = true;
    Loader whole(data, options);
    whole.start(5);
    digest(whole, 4);
    const auto rest = digest(whole, 9);
    Loader resumed(data, options);
    resumed.start(2, 7);  // something else first
    digest(resumed, 1);
    resumed.start(5, 40);
    EXPECT_EQ(digest(resumed, 9), rest);
  }
}

TEST(Loader, OrderDependsOnSeedAndEpoch) {
  const Dataset data = synthetic(64);
  const auto first_order = [&](std::uint64_t seed, std::int64_t epoch, bool shuffle) {
    LoaderOptions options = options_of(64, 0);
    options.seed = seed;
    options.shuffle = shuffle;
    Loader loader(data, options);
    loader.start(epoch);
    return loader.next().indices;
  };
  EXPECT_EQ(first_order(1, 0, true), first_order(1, 0, true));
  EXPECT_NE(first_order(1, 0, true), first_order(1, 1, true));
  EXPECT_NE(first_order(1, 0, true), first_order(2, 0, true));
  EXPECT_EQ(first_order(1, 0, false).at(63), 63);
}

TEST(Loader, LastBatchRepeatsTheLastSample) {
  const Dataset data = synthetic(5, 6);
  for (const int workers : {0, 1}) {
    LoaderOptions options = options_of(4, workers, 6);
    options.last_batch = LastBatch::keep;
    options.shuffle = false;
    options.transforms.clear();
    Loader loader(data, options);
    loader.start(0);
    loader.next();
    const Batch& batch = loader.next();
    EXPECT_EQ(batch.count, 1);
    EXPECT_THAT(batch.indices, ::testing::ElementsAre(4, 4, 4, 4));
    const auto image = data.load(4).hwc;
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(std::equal(image.begin(), image.end(),
                             batch.images.begin() + static_cast<std::ptrdiff_t>(i * 108)));
    }
  }
}

TEST(Loader, RefusesWhatCannotWork) {
  const Dataset data = synthetic(20);
  EXPECT_THROW(Loader(Dataset{}, options_of(4, 0)), ConfigError);
  EXPECT_THROW(Loader(data, options_of(0, 0)), ConfigError);
  EXPECT_THAT(test::message_of<ConfigError>([&] { Loader(data, options_of(32, 0)); }),
              HasSubstr("20 pictures are less than one batch of 32"));
  LoaderOptions keep = options_of(32, 0);
  keep.last_batch = LastBatch::keep;
  Loader loader(data, keep);
  loader.start(0);
  EXPECT_EQ(loader.next().count, 20);
}

TEST(Loader, ErrorsArriveAtTheirBatchWithTheFileName) {
  const TempFolder dir;
  test::write_folder(dir.path(), "train", 1, 40, 10, 10);
  test::write_folder(dir.path(), "test", 1, 1, 10, 10);
  DataSpec spec = spec_for(DataFormat::folder, dir.path());
  spec.cache = CacheMode::none;
  const Dataset data = open_data(spec, input_of(10, 10, 3)).train;
  const std::string bad = data.name(25);
  const std::string worse = data.name(27);
  std::filesystem::resize_file(bad, 60);
  std::filesystem::resize_file(worse, 0);
  for (const int workers : {0, 1, 4}) {
    LoaderOptions options = options_of(8, workers, 10);
    options.shuffle = false;
    Loader loader(data, options);
    for (int again = 0; again < 2; ++again) {
      loader.start(0);
      for (int i = 0; i < 3; ++i) EXPECT_EQ(loader.next().count, 8);
      EXPECT_THAT(data_error([&] { loader.next(); }), ::testing::StartsWith(bad + ": error: "));
      EXPECT_EQ(loader.next().count, 0);
      loader.start(0, 32);
      EXPECT_EQ(loader.next().count, 8);
    }
  }
}

TEST(Loader, StopsCleanlyAtAnyMoment) {
  const Dataset data = synthetic(300);
  for (int round = 0; round < 60; ++round) {
    LoaderOptions options = options_of(16, 1 + round % 4);
    options.repeat = true;
    options.prefetch = 1 + round % 3;
    Loader loader(data, options);
    if (round % 5 == 0) continue;  // never started
    loader.start(round);
    for (int i = 0; i < round % 7; ++i) loader.next();
    if (round % 2 == 0) loader.start(round + 1, 3);
  }
}

TEST(Loader, TinyEpochsRunOnWithRepeat) {
  const Dataset data = synthetic(4);
  LoaderOptions options = options_of(4, 3);
  options.repeat = true;
  options.prefetch = 6;
  Loader loader(data, options);
  loader.start(0);
  for (int epoch = 0; epoch < 50; ++epoch) {
    const Batch& batch = loader.next();
    EXPECT_EQ(batch.epoch, epoch);
    std::set<std::int64_t> seen(batch.indices.begin(), batch.indices.end());
    EXPECT_EQ(seen.size(), 4u);
  }
}

TEST(Loader, BatchStaysValidUntilTheNextCall) {
  const Dataset data = synthetic(64);
  LoaderOptions options = options_of(8, 2);
  options.repeat = true;
  options.prefetch = 2;
  Loader loader(data, options);
  loader.start(0);
  for (int i = 0; i < 20; ++i) {
    const Batch& batch = loader.next();
    const Batch copy = batch;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // workers fill all that they may
    EXPECT_EQ(batch.images, copy.images);
    EXPECT_EQ(batch.indices, copy.indices);
  }
}

}  // namespace
}  // namespace daybreak
