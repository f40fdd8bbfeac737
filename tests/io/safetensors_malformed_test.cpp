// Every rule of the reader, each with a file that breaks it and the message that must say so.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/philox.h"
#include "io/limits.h"
#include "io/safetensors.h"
#include "support/temp_folder.h"

namespace daybreak {
namespace {

using test::message_of;
using ::testing::HasSubstr;

SafetensorsFile parse(const std::string& content) {
  FileBytes bytes{std::make_unique<std::byte[]>(content.size()), content.size()};
  if (!content.empty()) std::memcpy(bytes.data.get(), content.data(), content.size());
  return SafetensorsFile::parse(std::move(bytes), "bad.safetensors");
}

std::string length_field(std::uint64_t length) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(length >> (8 * i));
  return text;
}

/// A file with this header and `data_bytes` zeros behind it.
std::string image(const std::string& header, std::size_t data_bytes) {
  return length_field(header.size()) + header + std::string(data_bytes, '\0');
}

std::string tensor(const std::string& name, const std::string& shape, const std::string& offsets,
                   const std::string& type = "F32") {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, type, shape,
                     offsets);
}

struct Case {
  std::string name;
  std::string content;
  std::string message;
};

std::vector<Case> framing_cases() {
  return {
      {"empty", "", "has 0 bytes"},
      {"seven bytes", std::string(7, '\0'), "has 7 bytes"},
      {"no header", length_field(0), "does not start with \"{\""},
      {"header longer than file", length_field(100) + "{}", "only 2 follow"},
      {"huge header", length_field(UINT64_MAX) + "{}", "at most 100000000"},
      {"header over the limit", length_field(kMaxSafetensorsHeaderBytes + 1) + "{}",
       "at most 100000000"},
      {"html page", "<!DOCTYPE html><html><body>404</body></html>", "is this a safetensors file"},
      {"pickle of torch", "PK\x03\x04 archive/data.pkl and much more",
       "is this a safetensors file"},
      {"leading space", image(" {}", 0), "does not start with \"{\""},
      {"byte order mark", image("\xef\xbb\xbf{}", 0), "does not start with \"{\""},
      {"an array", image("[]", 0), "does not start with \"{\""},
      {"cut JSON", image("{\"a\":", 0), "not valid JSON"},
      {"two objects", image("{}{}", 0), "not valid JSON"},
      {"NUL hides the rest", image(std::string("{}\0{\"x\"", 7), 0), "NUL byte"},
      {"bad UTF-8", image("{" + tensor("a\xff", "[1]", "[0,4]") + "}", 4), "not valid JSON"},
      {"comment", image("{/* x */}", 0), "not valid JSON"},
      {"trailing comma", image("{" + tensor("a", "[1]", "[0,4]") + ",}", 4), "not valid JSON"},
      {"bytes after the last tensor", image("{" + tensor("a", "[1]", "[0,4]") + "}", 5),
       "follows the last"},
      {"data without tensors", image("{}", 1), "follows the last"},
      {"cut data", image("{" + tensor("a", "[2]", "[0,8]") + "}", 7), "cut short"},
  };
}

std::vector<Case> entry_cases() {
  const std::string nine = "[1,1,1,1,1,1,1,1,1]";
  return {
      {"duplicate tensor",
       image("{" + tensor("a", "[1]", "[0,4]") + "," + tensor("a", "[1]", "[4,8]") + "}", 8),
       "\"a\" twice"},
      {"duplicate field",
       image(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
       "\"dtype\" twice"},
      {"duplicate metadata", image(R"({"__metadata__":{"k":"1","k":"2"}})", 0), "\"k\" twice"},
      {"two metadata", image(R"({"__metadata__":{},"__metadata__":{}})", 0),
       "\"__metadata__\" twice"},
      {"metadata is a number", image(R"({"__metadata__":{"k":1}})", 0), "expected a string"},
      {"metadata is null", image(R"({"__metadata__":{"k":null}})", 0), "expected a string"},
      {"metadata is nested", image(R"({"__metadata__":{"k":{}}})", 0), "expected a string"},
      {"metadata is a list", image(R"({"__metadata__":["k"]})", 0), "expected an object"},
      {"entry is a string", image(R"({"a":"F32"})", 0), "expected an object"},
      {"entry is a list", image(R"({"a":[]})", 0), "expected an object"},
      {"unknown field", image(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4),
       "unknown key \"x\""},
      {"no dtype", image(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "has no \"dtype\""},
      {"no shape", image(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), "has no \"shape\""},
      {"no offsets", image(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "has no \"data_offsets\""},
      {"unknown type", image("{" + tensor("a", "[1]", "[0,1]", "F8_E4M3") + "}", 1),
       "type \"F8_E4M3\" of tensor \"a\""},
      {"type in lower case", image("{" + tensor("a", "[1]", "[0,4]", "f32") + "}", 4),
       "type \"f32\""},
      {"type is a number", image(R"({"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}})", 4),
       "a string in \"dtype\""},
      {"shape is a number", image("{" + tensor("a", "4", "[0,16]") + "}", 16),
       "a list of whole numbers"},
      {"shape is a string", image("{" + tensor("a", "\"4\"", "[0,16]") + "}", 16),
       "a list of whole numbers"},
      {"shape is nested", image("{" + tensor("a", "[[4]]", "[0,16]") + "}", 16),
       "a list of whole numbers"},
      {"negative dimension", image("{" + tensor("a", "[-1]", "[0,4]") + "}", 4),
       "a negative number"},
      {"minus zero", image("{" + tensor("a", "[-0]", "[0,0]") + "}", 0), "a negative number"},
      {"fractional dimension", image("{" + tensor("a", "[1.0]", "[0,4]") + "}", 4),
       "not a whole number"},
      {"exponent", image("{" + tensor("a", "[1e0]", "[0,4]") + "}", 4), "not a whole number"},
      {"dimension above 2^64", image("{" + tensor("a", "[18446744073709551617]", "[0,4]") + "}", 4),
       "not a whole number"},
      {"dimension above 2^63", image("{" + tensor("a", "[9223372036854775808]", "[0,4]") + "}", 4),
       "too large"},
      {"leading zero", image("{" + tensor("a", "[01]", "[0,4]") + "}", 4), "not valid JSON"},
      {"rank nine", image("{" + tensor("a", nine, "[0,4]") + "}", 4), "more than 8 dimensions"},
      {"long name",
       image("{" + tensor(std::string(kMaxSafetensorsNameBytes + 1, 'n'), "[1]", "[0,4]") + "}", 4),
       "a name has 1025 bytes"},
  };
}

std::vector<Case> offset_cases() {
  return {
      {"one offset", image("{" + tensor("a", "[1]", "[4]") + "}", 4), "needs two numbers, found 1"},
      {"three offsets", image("{" + tensor("a", "[1]", "[0,4,8]") + "}", 4), "more than two"},
      {"offset is a string", image("{" + tensor("a", "[1]", "[\"0\",4]") + "}", 4),
       "two whole numbers"},
      {"offsets are an object", image("{" + tensor("a", "[1]", "{}") + "}", 4),
       "two whole numbers"},
      {"reversed", image("{" + tensor("a", "[1]", "[4,0]") + "}", 4), "reversed offsets"},
      {"starts late", image("{" + tensor("a", "[1]", "[4,8]") + "}", 8), "expected to begin at 0"},
      {"hole",
       image("{" + tensor("a", "[1]", "[0,4]") + "," + tensor("b", "[1]", "[8,12]") + "}", 12),
       "expected to begin at 4"},
      {"overlap",
       image("{" + tensor("a", "[2]", "[0,8]") + "," + tensor("b", "[1]", "[4,8]") + "}", 8),
       "expected to begin at 8"},
      {"same place",
       image("{" + tensor("a", "[1]", "[0,4]") + "," + tensor("b", "[1]", "[0,4]") + "}", 4),
       "expected to begin at 4"},
      {"shape larger than bytes", image("{" + tensor("a", "[2]", "[0,4]") + "}", 4), "needs 8"},
      {"shape smaller than bytes", image("{" + tensor("a", "[1]", "[0,8]") + "}", 8), "needs 4"},
      {"product wraps to the size",
       image("{" + tensor("a", "[4294967296,4294967296,1]", "[0,0]") + "}", 0), "more than 2^64"},
      {"product times type wraps",
       image("{" + tensor("a", "[4611686018427387905]", "[0,4]") + "}", 4), "more than 2^64"},
      {"wrap hidden by zero",
       image("{" + tensor("a", "[4294967296,4294967296,0]", "[0,0]") + "}", 0), "more than 2^64"},
      {"offset near 2^64",
       image("{" + tensor("a", "[1]", "[18446744073709551612,18446744073709551615]") + "}", 4),
       "expected to begin at 0"},
      {"end beyond file", image("{" + tensor("a", "[1000000000000]", "[0,4000000000000]") + "}", 4),
       "cut short"},
  };
}

TEST(SafetensorsMalformed, EveryRuleHasItsMessage) {
  std::size_t count = 0;
  for (const auto& cases : {framing_cases(), entry_cases(), offset_cases()}) {
    for (const Case& bad : cases) {
      const std::string message = message_of<DataError>([&] { parse(bad.content); });
      EXPECT_THAT(message, HasSubstr(bad.message)) << bad.name;
      EXPECT_TRUE(message.starts_with("bad.safetensors")) << message;
      EXPECT_EQ(message.find('\n'), message.npos) << message;
      ++count;
    }
  }
  EXPECT_GE(count, 60u);
}

TEST(SafetensorsMalformed, AcceptsTheUnusualButLegal) {
  EXPECT_TRUE(parse(image("{}", 0)).tensors().empty());
  EXPECT_TRUE(parse(image("{}      ", 0)).tensors().empty());
  EXPECT_EQ(parse(image("{" + tensor("s", "[]", "[0,4]") + "}", 4)).read_f32("s").size(), 1u);
  EXPECT_EQ(parse(image("{" + tensor("e", "[3,0]", "[0,0]") + "}", 0)).read_f32("e").size(), 0u);
  const SafetensorsFile swapped =
      parse(image("{" + tensor("b", "[1]", "[4,8]") + "," + tensor("a", "[1]", "[0,4]") + "}", 8));
  EXPECT_EQ(swapped.tensors()[0].name, "a") << "JSON order need not be byte order";
  const std::string eight = "[1,1,1,1,1,1,1,1]";
  EXPECT_EQ(parse(image("{" + tensor("r", eight, "[0,4]") + "}", 4)).tensors()[0].dims.size(), 8u);
}

TEST(SafetensorsMalformed, ErrorsCarryTheByteOffset) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[-7],"data_offsets":[0,4]}})";
  const std::string message = message_of<DataError>([&] { parse(image(header, 4)); });
  const std::size_t at = 8 + header.find("-7");
  EXPECT_THAT(message, ::testing::AnyOf(HasSubstr(fmt::format("@0x{:x}:", at + 1)),
                                        HasSubstr(fmt::format("@0x{:x}:", at + 2))));
}

TEST(SafetensorsMalformed, TooManyTensors) {
  std::string header = "{";
  for (std::size_t i = 0; i <= kMaxSafetensorsTensors; ++i) {
    if (i > 0) header += ',';
    header += tensor(std::to_string(i), "[0]", "[0,0]", "U8");
  }
  EXPECT_THAT(message_of<DataError>([&] { parse(image(header + "}", 0)); }),
              HasSubstr("more than 100000"));
}

TEST(SafetensorsMalformed, DeepNestingIsRefusedWithoutRecursion) {
  const std::string header = "{\"a\":" + std::string(1'000'000, '[');
  EXPECT_THAT(message_of<DataError>([&] { parse(image(header, 0)); }),
              HasSubstr("expected an object"));
}

TEST(SafetensorsMalformed, RandomDamageNeverCrashes) {
  const std::string good =
      image("{\"__metadata__\":{\"k\":\"v\"}," + tensor("a", "[2,2]", "[0,16]") + "," +
                tensor("b", "[3]", "[16,22]", "F16") + "}",
            22);
  Draws draws(5, Purpose::synthetic, 0, 0);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bad = good;
    const std::uint32_t edits = 1 + draws.below(4);
    for (std::uint32_t e = 0; e < edits; ++e) {
      const std::size_t at = draws.below(static_cast<std::uint32_t>(bad.size()));
      switch (draws.below(3)) {
        case 0:
          bad[at] = static_cast<char>(draws.bits());
          break;
        case 1:
          bad.erase(at, 1 + draws.below(8));
          break;
        default:
          bad.insert(at, 1, "0123456789{}[],:\""[draws.below(17)]);
      }
      if (bad.empty()) bad = "x";
    }
    try {
      const SafetensorsFile file = parse(bad);
      for (const TensorInfo& info : file.tensors()) file.read_f32(info);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

}  // namespace
}  // namespace daybreak
