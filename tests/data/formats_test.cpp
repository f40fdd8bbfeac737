#include "data/formats.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "data/data_support.h"

namespace daybreak {
namespace {

using test::Bytes;
using test::data_error;
using test::gzip_of;
using test::idx_of;
using test::input_of;
using test::message_of;
using test::spec_for;
using test::TempFolder;
using test::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Bytes ramp(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  return bytes;
}

// ---- IDX ----------------------------------------------------------------------------------------

TEST(Idx, ReadsPlainAndGzip) {
  const Bytes data = ramp(2 * 3 * 5);
  const Bytes plain = idx_of({2, 3, 5}, data);
  for (const Bytes& bytes : {plain, gzip_of(plain)}) {
    const IdxArray array = read_idx(bytes, "x");
    EXPECT_THAT(array.dims, ElementsAre(2u, 3u, 5u));
    EXPECT_EQ(array.data, data);
  }
  EXPECT_EQ(read_idx(idx_of({4}, ramp(4)), "x").data, ramp(4));
}

TEST(Idx, RefusesWrongHeaders) {
  const auto refuse = [](const Bytes& bytes) {
    return data_error([&] { read_idx(bytes, "dir/train-images-idx3-ubyte"); });
  };
  EXPECT_THAT(
      refuse({'<', '!', 'D', 'O', 'C', 'T'}),
      StartsWith("dir/train-images-idx3-ubyte: error: not an IDX file: starts with 3c 21 44 4f "
                 "(an HTML page?), expected 00 00 08 03 or gzip"));
  EXPECT_THAT(refuse({}), HasSubstr("is empty (0 bytes)"));
  EXPECT_THAT(refuse({0, 0, 8}), HasSubstr("not an IDX file"));
  EXPECT_THAT(refuse({0, 0, 8, 3, 0, 0, 0, 1}), HasSubstr("ends inside its header: 8 bytes"));
  EXPECT_THAT(refuse({0, 0, 13, 3, 0, 0, 0, 0}), HasSubstr("IDX type 0x0d with 3 dimensions"));
  EXPECT_THAT(refuse({0, 0, 8, 2, 0, 0, 0, 0}), HasSubstr("with 2 dimensions"));
  EXPECT_THAT(refuse({0, 0, 8, 255, 0, 0, 0, 0}), HasSubstr("with 255 dimensions"));
  EXPECT_THAT(refuse(idx_of({0, 3, 3}, {})), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(refuse(idx_of({1, 70000, 3}, {})), HasSubstr("@0x8: error: dimension 2 is 70000"));
  EXPECT_THAT(refuse(idx_of({0xffffffff, 65535, 65535}, {})),
              HasSubstr("dimension 1 is 4294967295"));
  EXPECT_THAT(refuse(idx_of({0x7fffffff, 65535, 65535}, {})), HasSubstr("ask for more than"));
  EXPECT_THAT(
      refuse(idx_of({60000, 28, 28}, ramp(100))),
      HasSubstr("116 bytes, expected 47040016 (60000 x 28 x 28 after a header of 16): the file "
                "seems cut short"));
  EXPECT_THAT(refuse(idx_of({2}, ramp(3))), HasSubstr("11 bytes, expected 10"));
}

TEST(Idx, RefusesDamagedGzip) {
  const auto refuse = [](const Bytes& bytes) {
    return data_error([&] { read_idx(bytes, "f.gz"); });
  };
  const Bytes whole = gzip_of(idx_of({10, 20, 20}, ramp(4000)));
  for (std::size_t size = 2; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_THROW(read_idx(cut, "f.gz"), DataError) << size;
  }
  Bytes cut(whole.begin(), whole.end() - 20);
  EXPECT_THAT(refuse(cut), StartsWith("f.gz: error: gzip data ends too early"));
  Bytes crc = whole;
  crc[crc.size() - 6] ^= 1;
  EXPECT_THAT(refuse(crc), HasSubstr("corrupt gzip data: incorrect data check"));
  Bytes tail = whole;
  tail.push_back(0);
  EXPECT_THAT(refuse(tail), HasSubstr("1 bytes after the end of the gzip data"));
  EXPECT_THAT(refuse(gzip_of(idx_of({3}, ramp(2)))),
              HasSubstr("2 bytes of data after the header, expected 3"));
  EXPECT_THAT(refuse(gzip_of(idx_of({3}, ramp(4)))), HasSubstr("more than the 3 = 3 bytes"));
  EXPECT_THAT(refuse(gzip_of(idx_of({2000000, 1000, 8}, {}))), HasSubstr("cannot hold"));
  EXPECT_THAT(refuse(gzip_of({'<', 'h', 't', 'm', 'l'})), HasSubstr("an HTML page?"));
  EXPECT_THAT(refuse({0x1f, 0x8b}), HasSubstr("gzip data ends too early"));
}

TEST(Idx, SurvivesDamage) {
  const Bytes seeds[2] = {idx_of({3, 4, 4}, ramp(48)), gzip_of(idx_of({3, 4, 4}, ramp(48)))};
  Draws draws(7, Purpose::synthetic, 2, 2);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes bytes = seeds[round % 2];
    bytes[draws.below(static_cast<std::uint32_t>(bytes.size()))] =
        static_cast<std::uint8_t>(draws.below(256));
    try {
      const IdxArray array = read_idx(bytes, "x");
      std::uint64_t product = 1;
      for (const std::uint32_t dim : array.dims) product *= dim;
      EXPECT_EQ(array.data.size(), product);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

struct IdxSet {
  TempFolder dir;
  Bytes images = ramp(6 * 4 * 3);
  void write(const Bytes& train_labels, const Bytes& test_labels, bool gzip = false) const {
    const auto put = [&](const std::string& name, const Bytes& bytes) {
      write_file(dir / name + (gzip ? ".gz" : ""), gzip ? gzip_of(bytes) : bytes);
    };
    put("train-images-idx3-ubyte", idx_of({6, 4, 3}, images));
    put("train-labels-idx1-ubyte",
        idx_of({static_cast<std::uint32_t>(train_labels.size())}, train_labels));
    put("t10k-images-idx3-ubyte", idx_of({2, 4, 3}, ramp(24)));
    put("t10k-labels-idx1-ubyte",
        idx_of({static_cast<std::uint32_t>(test_labels.size())}, test_labels));
  }
  DataParts open(int channels = 1) const {
    return open_data(spec_for(DataFormat::idx, dir.path()), input_of(3, 4, channels));
  }
};

TEST(Idx, OpensASet) {
  for (const bool gzip : {false, true}) {
    const IdxSet set;
    set.write({0, 1, 2, 2, 1, 0}, {2, 0}, gzip);
    const DataParts parts = set.open();
    EXPECT_EQ(parts.train.size(), 6);
    EXPECT_EQ(parts.test.size(), 2);
    EXPECT_TRUE(parts.val.empty());
    EXPECT_EQ(parts.evaluation().size(), 2);
    EXPECT_THAT(parts.train.classes(), ElementsAre("0", "1", "2"));
    EXPECT_EQ(parts.train.label(2), 2);
    EXPECT_EQ(parts.train.width(), 3);
    EXPECT_EQ(parts.train.height(), 4);
    EXPECT_EQ(parts.train.name(3),
              std::string("train-images-idx3-ubyte") + (gzip ? ".gz" : "") + "[3]");
    const Image image = parts.train.load(1);
    EXPECT_EQ(image.hwc, Bytes(set.images.begin() + 12, set.images.begin() + 24));
    EXPECT_THAT(parts.train.class_sizes(), ElementsAre(2, 2, 2));
  }
}

TEST(Idx, GreyBecomesRgbWhenTheNetworkWantsIt) {
  const IdxSet set;
  set.write({0, 1, 2, 2, 1, 0}, {2, 0});
  const DataParts parts = set.open(3);
  const Image image = parts.train.load(1);
  EXPECT_EQ(image.c, 3);
  EXPECT_EQ(image.hwc[5], set.images[12 + 1]);
  EXPECT_EQ(parts.train.channels(), 3);
}

TEST(Idx, SetErrors) {
  const IdxSet set;
  set.write({0, 1, 2, 2, 1}, {2, 0});
  EXPECT_THAT(data_error([&] { set.open(); }), HasSubstr("6 pictures, but 5 labels"));
  set.write({0, 1, 2, 2, 1, 1}, {2, 3});
  EXPECT_THAT(
      data_error([&] { set.open(); }),
      HasSubstr("t10k-labels-idx1-ubyte@0x9: error: label 3 of picture 1 is out of range 0..2"));
  std::filesystem::remove(set.dir / "t10k-labels-idx1-ubyte");
  EXPECT_THAT(data_error([&] { set.open(); }),
              HasSubstr("t10k-labels-idx1-ubyte.gz: error: no such file"));
  set.write({0, 1, 2, 2, 1, 1}, {2, 1});
  write_file(set.dir / "train-images-idx3-ubyte", idx_of({6}, ramp(6)));
  EXPECT_THAT(data_error([&] { set.open(); }), HasSubstr("holds labels (1 dimension)"));
  DataSpec two = spec_for(DataFormat::idx, set.dir.path());
  two.classes = {"a", "b"};
  set.write({0, 1, 2, 2, 1, 1}, {0, 1});
  EXPECT_THAT(data_error([&] { open_data(two, input_of(3, 4, 1)); }),
              HasSubstr("label 2 of picture 2 is out of range 0..1 (2 classes)"));
}

// ---- CIFAR --------------------------------------------------------------------------------------

Bytes cifar_file(int records, int label_bytes, int label) {
  Bytes bytes;
  for (int i = 0; i < records; ++i) {
    for (int k = 0; k < label_bytes; ++k) bytes.push_back(static_cast<std::uint8_t>(label + k));
    for (int plane = 0; plane < 3; ++plane) {
      for (int p = 0; p < 1024; ++p)
        bytes.push_back(static_cast<std::uint8_t>(plane * 80 + p % 64 + i));
    }
  }
  return bytes;
}

TEST(Cifar, OpensCifar10AndInterleavesPlanes) {
  const TempFolder dir;
  const std::string inner = dir / "cifar-10-batches-bin";
  for (int i = 1; i <= 5; ++i) {
    write_file(fmt::format("{}/data_batch_{}.bin", inner, i), cifar_file(2, 1, i));
  }
  write_file(inner + "/test_batch.bin", cifar_file(3, 1, 9));
  const DataParts parts = open_data(spec_for(DataFormat::cifar10, dir.path()), input_of(32, 32, 3));
  EXPECT_EQ(parts.train.size(), 10);
  EXPECT_EQ(parts.test.size(), 3);
  EXPECT_EQ(parts.train.label(4), 3);
  EXPECT_EQ(parts.train.name(5), "data_batch_3.bin[1]");
  EXPECT_EQ(parts.train.classes().at(9), "truck");
  const Image image = parts.train.load(1);
  EXPECT_EQ(image.hwc[3 * 70], 70 % 64 + 1);
  EXPECT_EQ(image.hwc[3 * 70 + 1], 80 + 70 % 64 + 1);
  EXPECT_EQ(image.hwc[3 * 70 + 2], 160 + 70 % 64 + 1);
}

TEST(Cifar, Cifar100HasFineAndCoarseLabels) {
  const TempFolder dir;
  write_file(dir / "train.bin", cifar_file(4, 2, 18));
  write_file(dir / "test.bin", cifar_file(1, 2, 18));
  DataSpec spec = spec_for(DataFormat::cifar100, dir.path());
  EXPECT_EQ(open_data(spec, input_of(32, 32, 3)).train.label(0), 19);
  EXPECT_EQ(open_data(spec, input_of(32, 32, 3)).train.class_count(), 100);
  spec.sources[0].coarse_labels = true;
  EXPECT_EQ(open_data(spec, input_of(32, 32, 3)).train.label(0), 18);
  EXPECT_EQ(open_data(spec, input_of(32, 32, 1)).train.load(0).c, 1);
  std::string names;
  for (int i = 0; i < 20; ++i) names += fmt::format("group{}\n", i);
  write_file(dir / "coarse_label_names.txt", Bytes(names.begin(), names.end()));
  EXPECT_EQ(open_data(spec, input_of(32, 32, 3)).train.classes().at(18), "group18");
}

TEST(Cifar, RefusesOddSizesAndLabels) {
  CifarRecords records;
  EXPECT_THAT(
      data_error([&] { read_cifar(Bytes(3073 * 2 + 5), "dir/b.bin", 1, 0, 10, records); }),
      HasSubstr("6151 bytes is not a whole number of 3073-byte records: 2 records + 5 bytes"));
  EXPECT_THROW(read_cifar(Bytes{}, "b.bin", 1, 0, 10, records), DataError);
  Bytes bytes = cifar_file(3, 1, 4);
  bytes[2 * 3073] = 10;
  EXPECT_THAT(data_error([&] { read_cifar(bytes, "b.bin", 1, 0, 10, records); }),
              StartsWith("b.bin@0x1802: error: label 10 of picture 2 is out of range 0..9"));
}

// ---- sources ------------------------------------------------------------------------------------

TEST(OpenData, TakesTheFirstExistingSource) {
  const IdxSet set;
  set.write({0, 1, 2, 2, 1, 0}, {2, 0});
  DataSpec spec = spec_for(DataFormat::idx, "/no/such/folder");
  spec.sources.push_back(spec.sources[0]);
  spec.sources[1].dir = "${DAYBREAK_TEST_UNSET}/x";
  spec.sources.push_back(spec.sources[0]);
  ::setenv("DAYBREAK_TEST_DIR", set.dir.path().c_str(), 1);
  spec.sources[2].dir = "${DAYBREAK_TEST_DIR}";
  EXPECT_EQ(open_data(spec, input_of(3, 4, 1)).source, set.dir.path());
  spec.sources.pop_back();
  spec.install = "apt-get install some-data";
  EXPECT_THAT(
      data_error([&] { open_data(spec, input_of(3, 4, 1)); }),
      ::testing::AllOf(HasSubstr("data \"sample\" was not found; tried \"/no/such/folder\", "
                                 "\"${DAYBREAK_TEST_UNSET}/x\""),
                       HasSubstr("apt-get install some-data")));
}

TEST(OpenData, RelativeFolderIsBesideTheFileThatNamesIt) {
  const IdxSet set;
  set.write({0, 1, 2, 2, 1, 0}, {2, 0});
  const std::filesystem::path path(set.dir.path());
  DataSpec spec = spec_for(DataFormat::idx, path.filename().string());
  spec.sources[0].mark.file = path.parent_path() / "data.yaml";
  EXPECT_EQ(open_data(spec, input_of(3, 4, 1)).train.size(), 6);
}

TEST(OpenData, RefusesWrongRequests) {
  const DataSpec synthetic = spec_for(DataFormat::synthetic, "");
  DataSpec spec = synthetic;
  spec.split.fraction = 1.5;
  EXPECT_THROW(open_data(spec, input_of(8, 8, 3)), ConfigError);
  spec = synthetic;
  spec.split.folds = 3;
  spec.split.fold = 3;
  EXPECT_THROW(open_data(spec, input_of(8, 8, 3)), ConfigError);
  const IdxSet set;
  set.write({0, 1, 2, 2, 1, 0}, {2, 0});
  EXPECT_THROW(set.open(2), ConfigError);
  EXPECT_THAT(message_of<DataError>([] { open_data(DataSpec{}, InputSpec{}); }),
              HasSubstr("names no source"));
}

// ---- synthetic ----------------------------------------------------------------------------------

TEST(Synthetic, IsDeterministicBalancedAndSeparable) {
  DataSpec spec = spec_for(DataFormat::synthetic, "");
  spec.train_limit = 200;
  spec.test_limit = 40;
  spec.classes = {"a", "b", "c", "d"};
  const DataParts first = open_data(spec, input_of(12, 10, 3));
  const DataParts second = open_data(spec, input_of(12, 10, 3));
  EXPECT_THAT(first.train.class_sizes(), ElementsAre(50, 50, 50, 50));
  EXPECT_EQ(first.test.size(), 40);
  EXPECT_EQ(first.train.load(7).hwc, second.train.load(7).hwc);
  EXPECT_NE(first.train.load(0).hwc, first.train.load(4).hwc);  // same class, other picture
  EXPECT_NE(first.train.load(0).hwc, first.test.load(0).hwc);
  EXPECT_EQ(first.train.name(3), "synthetic-train[3]");
  // Two classes of one colour differ in the direction of their stripes: neighbours along x are
  // alike in the class with stripes across y, and unlike in the other.
  const auto change_along_x = [&](int label) {
    double sum = 0;
    for (std::int64_t i = 0; i < first.train.size(); ++i) {
      if (first.train.label(i) != label) continue;
      const Image image = first.train.load(i);
      for (int y = 0; y < 10; ++y) {
        for (int x = 1; x < 12; ++x) {
          const auto at = (static_cast<std::size_t>(y) * 12 + x) * 3;
          sum += std::abs(image.hwc[at] - image.hwc[at - 3]);
        }
      }
    }
    return sum;
  };
  EXPECT_GT(change_along_x(0), 1.5 * change_along_x(2));
}

}  // namespace
}  // namespace daybreak
