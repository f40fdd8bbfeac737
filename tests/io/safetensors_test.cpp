#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/philox.h"
#include "io/half.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

namespace daybreak {
namespace {

using test::message_of;
using test::read_text;
using test::TempFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

TEST(Half, EveryValueIsExact) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const int exponent = (half >> 10) & 31, fraction = half & 1023;
    const float value = f16_to_f32(half);
    EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), fraction != 0);
      EXPECT_EQ(std::isinf(value), fraction == 0);
      EXPECT_EQ(std::bit_cast<std::uint32_t>(value) & 0x7FFFFF, fraction << 13) << "payload";
      continue;
    }
    const double expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(std::fabs(static_cast<double>(value)), expected) << bits;
  }
  EXPECT_EQ(bf16_to_f32(0x3FC0), 1.5f);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(bf16_to_f32(0x7FA1)), 0x7FA10000u) << "NaN payload";
}

TEST(Safetensors, RoundTripIsByteIdenticalIncludingNanPayloads) {
  const TempFolder folder;
  Draws draws(3, Purpose::synthetic, 0, 0);
  std::vector<std::uint32_t> bits(4096);
  for (std::uint32_t& value : bits) value = draws.bits();
  bits[0] = 0x7F800001, bits[1] = 0xFFC12345, bits[2] = 0x80000000, bits[3] = 1;
  const std::vector<std::int64_t> wide = {-1, INT64_MAX, 3};
  const std::vector<std::uint8_t> narrow = {1, 2, 3, 4, 5};
  const std::vector<TensorView> tensors = {
      {"narrow", TensorType::u8, {5}, bytes_of(narrow)},
      {"weight", TensorType::f32, {64, 4, 4, 4}, bytes_of(bits)},
      {"steps", TensorType::i64, {3}, bytes_of(wide)},
      {"empty", TensorType::f32, {0, 7}, {}},
  };
  const Metadata metadata = {{"z", "last first"}, {"a", "quote \" and \xc3\xbc"}, {"e", ""}};
  write_safetensors(folder / "a", tensors, metadata, Digest::sha256);
  const SafetensorsFile file = SafetensorsFile::open(folder / "a");
  EXPECT_EQ(file.check_digest(), DigestState::matches);
  EXPECT_EQ(std::filesystem::file_size(folder / "a"),
            safetensors_size(tensors, metadata, Digest::sha256));
  EXPECT_EQ(file.tensors()[0].name, "steps") << "the widest elements come first";
  for (const TensorView& tensor : tensors) {
    const TensorInfo* info = file.find(tensor.name);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->dims, tensor.dims);
    EXPECT_EQ(info->type, tensor.type);
    EXPECT_EQ(info->begin % element_size(info->type), 0u);
    const std::span<const std::byte> stored = file.bytes(*info);
    EXPECT_TRUE(std::equal(stored.begin(), stored.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
  std::vector<float> values(bits.size());
  file.copy_f32(*file.find("weight"), values);
  EXPECT_EQ(std::memcmp(values.data(), bits.data(), 4 * bits.size()), 0);
  ASSERT_EQ(file.metadata().size(), 4u);
  EXPECT_EQ(file.metadata()[1], metadata[0]) << "the order is kept";
  EXPECT_EQ(file.metadata("a"), metadata[1].second);

  // Writing what was read gives the same file.
  std::vector<TensorView> again;
  for (const TensorInfo& info : file.tensors()) {
    again.push_back({info.name, info.type, info.dims, file.bytes(info)});
  }
  write_safetensors(folder / "b", again, metadata, Digest::sha256);
  EXPECT_EQ(read_text(folder / "a"), read_text(folder / "b"));
}

TEST(Safetensors, HeaderIsPaddedToEightBytes) {
  const TempFolder folder;
  for (int length = 1; length < 10; ++length) {
    const std::vector<float> value = {1.0f};
    const std::vector<TensorView> tensors = {
        {std::string(static_cast<std::size_t>(length), 'x'), TensorType::f32, {}, bytes_of(value)}};
    write_safetensors(folder / "a", tensors, {});
    const std::string text = read_text(folder / "a");
    EXPECT_EQ(static_cast<unsigned char>(text[0]) % 8, 0);
    EXPECT_EQ(text[8], '{');
    EXPECT_EQ(SafetensorsFile::open(folder / "a").read_f32(tensors[0].name), value);
  }
}

TEST(Safetensors, ConvertsEveryTypeToFloat) {
  const TempFolder folder;
  const std::vector<std::uint16_t> half = {0x3E00, 0xC000, 0x0001};
  const std::vector<std::uint16_t> brain = {0x3FC0, 0xC000, 0x0001};
  const std::vector<double> wide = {0.1, -3e300, 2.0};
  const std::vector<std::int64_t> i64 = {-5, 16777217, 0};
  const std::vector<std::int32_t> i32 = {-5, 7, INT32_MIN};
  const std::vector<std::int16_t> i16 = {-5, 7, -32768};
  const std::vector<std::int8_t> i8 = {-5, 7, -128};
  const std::vector<std::uint8_t> u8 = {0, 7, 255};
  const std::vector<std::uint16_t> u16 = {0, 7, 65535};
  const std::vector<std::uint32_t> u32 = {0, 7, UINT32_MAX};
  const std::vector<std::uint64_t> u64 = {0, 7, UINT64_MAX};
  const std::vector<std::uint8_t> flag = {0, 1, 1};
  write_safetensors(folder / "a",
                    std::vector<TensorView>{{"half", TensorType::f16, {3}, bytes_of(half)},
                                            {"brain", TensorType::bf16, {3}, bytes_of(brain)},
                                            {"wide", TensorType::f64, {3}, bytes_of(wide)},
                                            {"i64", TensorType::i64, {3}, bytes_of(i64)},
                                            {"i32", TensorType::i32, {3}, bytes_of(i32)},
                                            {"i16", TensorType::i16, {3}, bytes_of(i16)},
                                            {"i8", TensorType::i8, {3}, bytes_of(i8)},
                                            {"u8", TensorType::u8, {3}, bytes_of(u8)},
                                            {"u16", TensorType::u16, {3}, bytes_of(u16)},
                                            {"u32", TensorType::u32, {3}, bytes_of(u32)},
                                            {"u64", TensorType::u64, {3}, bytes_of(u64)},
                                            {"flag", TensorType::boolean, {3}, bytes_of(flag)}},
                    {});
  const SafetensorsFile file = SafetensorsFile::open(folder / "a");
  EXPECT_EQ(file.check_digest(), DigestState::absent);
  EXPECT_THAT(file.read_f32("half"), ElementsAre(1.5f, -2.0f, 0x1p-24f));
  EXPECT_THAT(file.read_f32("brain"), ElementsAre(1.5f, -2.0f, 0x1p-133f));
  EXPECT_THAT(file.read_f32("wide"), ElementsAre(0.1f, -INFINITY, 2.0f));
  EXPECT_THAT(file.read_f32("i64"), ElementsAre(-5.0f, 16777216.0f, 0.0f));
  EXPECT_THAT(file.read_f32("i32"), ElementsAre(-5.0f, 7.0f, -2147483648.0f));
  EXPECT_THAT(file.read_f32("i16"), ElementsAre(-5.0f, 7.0f, -32768.0f));
  EXPECT_THAT(file.read_f32("i8"), ElementsAre(-5.0f, 7.0f, -128.0f));
  EXPECT_THAT(file.read_f32("u8"), ElementsAre(0.0f, 7.0f, 255.0f));
  EXPECT_THAT(file.read_f32("u16"), ElementsAre(0.0f, 7.0f, 65535.0f));
  EXPECT_THAT(file.read_f32("u32"), ElementsAre(0.0f, 7.0f, 4294967296.0f));
  EXPECT_THAT(file.read_f32("u64"), ElementsAre(0.0f, 7.0f, 18446744073709551616.0f));
  EXPECT_THAT(file.read_f32("flag"), ElementsAre(0.0f, 1.0f, 1.0f));
  const auto read = [&] { file.read_f32("hafl"); };
  EXPECT_THAT(message_of<DataError>(read),
              HasSubstr("no tensor \"hafl\", the nearest name is \"half\""));
}

TEST(Safetensors, DigestFindsEveryFlippedBit) {
  const TempFolder folder;
  const std::vector<float> values = {1.0f, 2.0f};
  write_safetensors(folder / "a",
                    std::vector<TensorView>{{"w", TensorType::f32, {2}, bytes_of(values)}},
                    {{"step", "12"}}, Digest::sha256);
  const std::string good = read_text(folder / "a");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    FileBytes bytes{std::make_unique<std::byte[]>(bad.size()), bad.size()};
    std::memcpy(bytes.data.get(), bad.data(), bad.size());
    try {
      const SafetensorsFile file = SafetensorsFile::parse(std::move(bytes), "bad");
      EXPECT_NE(file.check_digest(), DigestState::matches) << "bit " << bit;
    } catch (const DataError&) {
    }  // refused by its structure: as good
  }
}

TEST(Safetensors, ReadsRealWeights) {
  const std::string path = test::shared_data("weights/squeezenet1.1.safetensors");
  if (path.empty()) GTEST_SKIP() << "shared data with squeezenet1.1.safetensors is not there";
  const SafetensorsFile file = SafetensorsFile::open(path);
  EXPECT_EQ(file.tensors().size(), 52u);
  const TensorInfo* first = file.find("features.0.weight");
  ASSERT_NE(first, nullptr);
  EXPECT_THAT(first->dims, ElementsAre(64, 3, 3, 3));
  std::int64_t count = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    count += tensor.count();
    for (const float value : file.read_f32(tensor)) ASSERT_TRUE(std::fabs(value) < 100.0f);
  }
  EXPECT_EQ(count, 1235496) << "parameters of SqueezeNet 1.1";
}

TEST(Safetensors, PythonReadsOursAndWeReadPythons) {
  const char* named = std::getenv("DAYBREAK_PYTHON");
  const std::string python = named ? named : "python3";
  if (std::system((python + " -c 'import safetensors, numpy' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no safetensors; set DAYBREAK_PYTHON to a Python that has it";
  }
  const TempFolder folder;
  const std::vector<float> values = {1.5f, -2.25f, 1e-30f, 0.0f, 5.0f, 6.0f};
  write_safetensors(folder / "a.safetensors",
                    std::vector<TensorView>{{"w", TensorType::f32, {2, 3}, bytes_of(values)}},
                    {{"step", "12"}}, Digest::sha256);
  write_text(folder / "twin.py",
             "import sys, numpy\n"
             "from safetensors import safe_open\n"
             "from safetensors.numpy import save_file\n"
             "f = safe_open(sys.argv[1] + '/a.safetensors', 'numpy')\n"
             "assert f.metadata()['step'] == '12', f.metadata()\n"
             "w = f.get_tensor('w')\n"
             "assert w.shape == (2, 3) and w.dtype == numpy.float32\n"
             "save_file({'w2': w * 2, 'h': numpy.float16([0.5, -1])}, "
             "sys.argv[1] + '/b.safetensors', {'from': 'python'})\n");
  const std::string command = python + " " + (folder / "twin.py") + " " + folder.path();
  ASSERT_EQ(std::system(command.c_str()), 0);
  const SafetensorsFile file = SafetensorsFile::open(folder / "b.safetensors");
  EXPECT_THAT(file.read_f32("w2"), ElementsAre(3.0f, -4.5f, 2e-30f, 0.0f, 10.0f, 12.0f));
  EXPECT_THAT(file.read_f32("h"), ElementsAre(0.5f, -1.0f));
  EXPECT_EQ(file.metadata("from"), "python");
}

}  // namespace
}  // namespace daybreak
