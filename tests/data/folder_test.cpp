#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "data/data_support.h"
#include "data/dataset.h"
#include "data/fit.h"

namespace daybreak {
namespace {

using test::Bytes;
using test::data_error;
using test::input_of;
using test::jpeg_of;
using test::noise_image;
using test::spec_for;
using test::TempFolder;
using test::write_file;
using test::write_folder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

DataSpec folder_spec(const TempFolder& dir) {
  return spec_for(DataFormat::folder, dir.path());
}

TEST(Folder, ClassesAndFilesAreSortedBytewise) {
  const TempFolder dir;
  const Bytes png = encode_png(noise_image(4, 4, 3, 0).view());
  for (const char* name :
       {"train/b/2.png", "train/b/10.png", "train/B/x.PNG", "train/a/z.png", "train/a/Z.JPEG",
        "train/\xc3\xa4/1.jpg", "train/a/.hidden.png", "train/a/readme.txt", "test/a/t.png"}) {
    write_file(dir / name, png);
  }
  const DataParts parts = open_data(folder_spec(dir), input_of(4, 4, 3));
  EXPECT_THAT(parts.train.classes(), ElementsAre("B", "a", "b", "\xc3\xa4"));
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < parts.train.size(); ++i) {
    names.push_back(parts.train.name(i).substr(dir.path().size()));
  }
  EXPECT_THAT(names, ElementsAre("/train/B/x.PNG", "/train/a/Z.JPEG", "/train/a/z.png",
                                 "/train/b/10.png", "/train/b/2.png", "/train/\xc3\xa4/1.jpg"));
  EXPECT_EQ(parts.train.label(5), 3);
  EXPECT_EQ(parts.test.label(0), 1);
  EXPECT_TRUE(parts.train.in_memory());
  EXPECT_EQ(parts.train.width(), 4);
}

TEST(Folder, MemoryAndStreamingGiveTheSamePictures) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 2, 3, 7, 5);
  write_file(dir / "train/class0/odd.png", encode_png(noise_image(9, 4, 1, 77).view()));
  write_file(dir / "train/class1/photo.jpg", jpeg_of(noise_image(30, 20, 3, 78)));
  write_folder(dir.path(), "test", 2, 1, 7, 5);
  DataSpec spec = folder_spec(dir);
  const DataParts cached = open_data(spec, input_of(8, 8, 3));
  spec.cache = CacheMode::none;
  const DataParts streamed = open_data(spec, input_of(8, 8, 3));
  EXPECT_TRUE(cached.train.in_memory());
  EXPECT_EQ(cached.train.width(), 0);  // sizes differ
  EXPECT_EQ(cached.test.width(), 7);
  EXPECT_FALSE(streamed.train.in_memory());
  EXPECT_EQ(streamed.train.width(), 0);
  ASSERT_EQ(cached.train.size(), 8);
  for (std::int64_t i = 0; i < 8; ++i) {
    const Image a = cached.train.load(i);
    const Image b = streamed.train.load(i);
    EXPECT_EQ(a.w, b.w);
    EXPECT_EQ(a.hwc, b.hwc);
    EXPECT_EQ(a.c, 3);
    EXPECT_EQ(cached.train.name(i), streamed.train.name(i));
  }
}

TEST(Folder, CacheBudgetDecidesBetweenStoredFittedAndNothing) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 2, 4, 40, 40);  // 8 * 4800 bytes
  write_folder(dir.path(), "test", 2, 1, 40, 40);
  DataSpec spec = folder_spec(dir);
  spec.cache_bytes = 10 * 4800;
  EXPECT_EQ(open_data(spec, input_of(10, 10, 3)).train.memory_bytes(), 8u * 4800);
  spec.cache_bytes = 8 * 4800;  // train fits, test does not any more
  const DataParts partly = open_data(spec, input_of(10, 10, 3));
  EXPECT_TRUE(partly.train.in_memory());
  EXPECT_FALSE(partly.test.in_memory());
  spec.cache_bytes = 8 * 300 + 2 * 300;
  EXPECT_FALSE(open_data(spec, input_of(10, 10, 3)).train.in_memory());
  OpenOptions options;
  options.cache_fitted = true;
  const DataParts fitted = open_data(spec, input_of(10, 10, 3), options);
  EXPECT_EQ(fitted.train.memory_bytes(), 8u * 300);
  EXPECT_EQ(fitted.train.width(), 10);
  spec.cache = CacheMode::none;
  const DataParts streamed = open_data(spec, input_of(10, 10, 3));
  for (std::int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(fitted.train.load(i).hwc,
              fit_picture(streamed.train.load(i).view(), 10, 10, Fit::stretch).hwc);
  }
}

TEST(Folder, BadPictureIsAnErrorNamingTheFile) {
  for (const CacheMode cache : {CacheMode::automatic, CacheMode::none}) {
    const TempFolder dir;
    write_folder(dir.path(), "train", 2, 3, 6, 6);
    write_folder(dir.path(), "test", 2, 1, 6, 6);
    DataSpec spec = folder_spec(dir);
    spec.cache = cache;
    write_file(dir / "train/class1/zero.jpg", {});
    EXPECT_THAT(
        data_error([&] { open_data(spec, input_of(6, 6, 3)); }),
        ::testing::AllOf(StartsWith(dir / "train/class1/zero.jpg: error: not a picture: is empty"),
                         HasSubstr("1 bad picture of 7"), HasSubstr("data.on_error: skip")));
    Bytes jpeg = jpeg_of(noise_image(40, 40, 3, 1));
    jpeg.resize(jpeg.size() - 300);
    write_file(dir / "train/class1/zero.jpg", jpeg);
    const auto open_and_read = [&] {
      const DataParts parts = open_data(spec, input_of(6, 6, 3));
      for (std::int64_t i = 0; i < parts.train.size(); ++i) parts.train.load(i);
    };
    EXPECT_THAT(data_error(open_and_read),
                StartsWith(dir / "train/class1/zero.jpg: error: JPEG ends too early"));
  }
}

TEST(Folder, SkipLeavesBadPicturesOut) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 3, 6, 6, 6);
  write_folder(dir.path(), "test", 3, 1, 6, 6);
  write_file(dir / "train/class0/002.png", {});
  Bytes jpeg = jpeg_of(noise_image(40, 40, 3, 1));
  jpeg.resize(jpeg.size() - 200);
  write_file(dir / "train/class2/000.png", jpeg);
  for (const CacheMode cache : {CacheMode::automatic, CacheMode::none}) {
    DataSpec spec = folder_spec(dir);
    spec.cache = cache;
    spec.on_error = OnError::skip;
    spec.max_skipped = 0.2;
    const DataParts parts = open_data(spec, input_of(6, 6, 3));
    EXPECT_THAT(parts.train.class_sizes(), ElementsAre(5, 6, 5));
    ASSERT_EQ(parts.bad_inputs.size(), 2u);
    EXPECT_EQ(parts.bad_inputs[0].path, dir / "train/class0/002.png");
    EXPECT_THAT(parts.bad_inputs[0].reason, StartsWith("not a picture"));
    EXPECT_THAT(parts.bad_inputs[1].reason, StartsWith("JPEG ends too early"));
    for (std::int64_t i = 0; i < parts.train.size(); ++i) {
      const Image image = load_image(parts.train.name(i), 3);
      EXPECT_EQ(parts.train.load(i).hwc, image.hwc) << parts.train.name(i);
    }
    EXPECT_EQ(parts.train.width(), cache == CacheMode::automatic ? 6 : 0);
    spec.max_skipped = 0.05;
    EXPECT_THAT(data_error([&] { open_data(spec, input_of(6, 6, 3)); }),
                HasSubstr("2 bad pictures of 18, more than the share of 0.05"));
  }
}

TEST(Folder, EmptyOrUnknownClassesAreErrors) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 2, 2, 4, 4);
  write_folder(dir.path(), "test", 2, 1, 4, 4);
  const DataSpec spec = folder_spec(dir);
  const auto open = [&] { open_data(spec, input_of(4, 4, 3)); };
  std::filesystem::create_directory(dir / "train/zebra");
  EXPECT_THAT(data_error(open),
              ::testing::AllOf(StartsWith(dir / "train/zebra: error: class without pictures"),
                               HasSubstr("it is empty")));
  write_file(dir / "train/zebra/a.gif", {1});
  EXPECT_THAT(data_error(open), HasSubstr("1 entries seen: *.gif"));
  std::filesystem::remove_all(dir / "train/zebra");
  write_file(dir / "test/yak/a.png", encode_png(noise_image(4, 4, 3, 0).view()));
  EXPECT_THAT(data_error(open),
              StartsWith(dir / "test/yak: error: is no class of the training part"));
  std::filesystem::remove_all(dir / "test/yak");
  DataSpec named = spec;
  named.classes = {"class1", "class0"};
  EXPECT_EQ(open_data(named, input_of(4, 4, 3)).train.label(0), 0);
  EXPECT_THAT(open_data(named, input_of(4, 4, 3)).train.name(0), HasSubstr("/class1/"));
  named.classes = {"class1", "other"};
  EXPECT_THAT(data_error([&] { open_data(named, input_of(4, 4, 3)); }),
              HasSubstr("class folders \"class0\", \"class1\" are not the classes"));
}

TEST(Folder, PartsThatAreMissing) {
  const TempFolder dir;
  write_folder(dir.path(), "training", 2, 4, 4, 4);
  DataSpec spec = folder_spec(dir);
  EXPECT_THAT(data_error([&] { open_data(spec, input_of(4, 4, 3)); }),
              ::testing::AllOf(StartsWith(dir / "train: error: no such folder"),
                               HasSubstr("\"training\"")));
  spec.sources[0].train = "training";
  EXPECT_THAT(data_error([&] { open_data(spec, input_of(4, 4, 3)); }), HasSubstr("no test part"));
  write_folder(dir.path(), "val", 2, 1, 4, 4);
  const DataParts parts = open_data(spec, input_of(4, 4, 3));
  EXPECT_EQ(parts.val.size(), 2);
  EXPECT_EQ(parts.test.size(), 2);
  spec.split.fraction = 0.25;
  EXPECT_THROW(open_data(spec, input_of(4, 4, 3)), ConfigError);  // it has a part of its own
  OpenOptions only_test;
  only_test.need_train = false;
  spec.split.fraction = 0;
  EXPECT_TRUE(open_data(spec, input_of(4, 4, 3), only_test).train.empty());
}

TEST(Folder, LimitIsBalancedAndReadsNothingElse) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 3, 5, 4, 4);
  write_folder(dir.path(), "test", 3, 2, 4, 4);
  write_file(dir / "train/class2/004.png", {});  // beyond the limit: not even looked at
  DataSpec spec = folder_spec(dir);
  spec.train_limit = 7;
  spec.test_limit = 3;
  const DataParts parts = open_data(spec, input_of(4, 4, 3));
  EXPECT_THAT(parts.train.class_sizes(), ElementsAre(3, 2, 2));
  EXPECT_THAT(parts.test.class_sizes(), ElementsAre(1, 1, 1));
}

TEST(Folder, ProgressEndsAtTheTotal) {
  const TempFolder dir;
  write_folder(dir.path(), "train", 2, 4, 4, 4);
  write_folder(dir.path(), "test", 2, 1, 4, 4);
  std::int64_t last = -1;
  OpenOptions options;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, 10);
    last = done;
  };
  open_data(folder_spec(dir), input_of(4, 4, 3), options);
  EXPECT_EQ(last, 10);
}

TEST(Folder, LargeHeaderBeforeTheFrameIsProbed) {
  const TempFolder dir;
  // 70 kB of comments move the frame header beyond the bytes that a probe reads first.
  Bytes jpeg = jpeg_of(noise_image(12, 10, 3, 1));
  Bytes comments;
  for (int i = 0; i < 2; ++i) {
    comments.insert(comments.end(), {0xff, 0xfe, 0x88, 0xb8});  // 35,000 bytes
    comments.insert(comments.end(), 0x88b8 - 2, 'x');
  }
  jpeg.insert(jpeg.begin() + 2, comments.begin(), comments.end());
  write_file(dir / "train/a/1.jpg", jpeg);
  write_file(dir / "test/a/1.jpg", jpeg);
  const DataParts parts = open_data(folder_spec(dir), input_of(4, 4, 3));
  EXPECT_EQ(parts.train.width(), 12);
  EXPECT_EQ(parts.train.height(), 10);
}

}  // namespace
}  // namespace daybreak
