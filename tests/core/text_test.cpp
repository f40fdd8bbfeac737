#include "core/text.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/checked_size.h"
#include "core/philox.h"

namespace daybreak {
namespace {

TEST(Text, FloatsReadBackExactly) {
  Draws draws(1, Purpose::init, 0, 0);
  for (int i = 0; i < 20000; ++i) {
    const std::uint32_t bits = draws.bits();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const auto back = parse_double(format_float(value));
    ASSERT_TRUE(back.has_value()) << format_float(value);
    EXPECT_EQ(static_cast<float>(*back), value) << format_float(value);
    const double wide = static_cast<double>(value) * 1.1;
    EXPECT_EQ(parse_double(format_float(wide)), wide);
  }
  EXPECT_EQ(format_float(0.1), "0.1");
  EXPECT_EQ(format_float(0.1f), "0.1");
  EXPECT_EQ(format_float(1e-7), "1e-07");
}

TEST(Text, NumbersAreWholeTokens) {
  EXPECT_EQ(parse_int("-42"), -42);
  EXPECT_EQ(parse_double("1e3"), 1000.0);
  for (const char* bad :
       {"", " 1", "1 ", "+1", "0x10", "1,5", "1e", "nan", "inf", "1e999", "--1"}) {
    EXPECT_FALSE(parse_double(bad).has_value()) << bad;
  }
  for (const char* bad : {"", "1.0", "9223372036854775808", "1e3", "1_0"}) {
    EXPECT_FALSE(parse_int(bad).has_value()) << bad;
  }
}

TEST(Text, QuotesEscapeAndCut) {
  EXPECT_EQ(quote("conv1"), "\"conv1\"");
  EXPECT_EQ(quote("a\"b\\c\n"), "\"a\\\"b\\\\c\\x0a\"");
  EXPECT_EQ(quote("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
  EXPECT_EQ(quote("\xff\xc3"), "\"\\xff\\xc3\"");
  EXPECT_EQ(quote("\xc0\x80"), "\"\\xc0\\x80\"") << "overlong forms are not UTF-8";
  EXPECT_EQ(quote("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"") << "surrogates are not UTF-8";
  EXPECT_EQ(quote(std::string(100, 'x')), "\"" + std::string(80, 'x') + "...\"");
}

TEST(Text, Amounts) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(999'960), "1.0 MB");
  EXPECT_EQ(format_bytes(246'300'000), "246.3 MB");
  EXPECT_EQ(format_bytes(std::numeric_limits<std::uint64_t>::max()), "18.4 EB");
  EXPECT_EQ(format_dims({}), "scalar");
  EXPECT_EQ(format_dims(std::vector<std::int64_t>{64, 3, 7, 7}), "64 x 3 x 7 x 7");
}

TEST(Text, NearestName) {
  EXPECT_EQ(edit_distance("fliters", "filters"), 1) << "a swap of neighbours is one edit";
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  const std::vector<std::string> names = {"filters", "stride", "size", "pad"};
  EXPECT_EQ(nearest_name("fliters", names), "filters");
  EXPECT_EQ(nearest_name("sise", names), "size");
  EXPECT_EQ(nearest_name("dilation", names), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), names), std::nullopt);
}

TEST(CheckedSize, OverflowSticks) {
  const std::uint64_t large = std::uint64_t{1} << 63;
  EXPECT_EQ((CheckedSize(3) * 4 + 5).value(), 17u);
  EXPECT_FALSE((CheckedSize(large) * 2).value().has_value());
  EXPECT_FALSE((CheckedSize(large) + large).value().has_value());
  EXPECT_FALSE((CheckedSize(large) * 2 * 0).value().has_value()) << "an overflow is not forgotten";
  EXPECT_TRUE((CheckedSize(large) + (large - 1)).fits(UINT64_MAX));
  EXPECT_FALSE(CheckedSize(8).fits(7));
  EXPECT_TRUE(CheckedSize(8).equals(8));
}

}  // namespace
}  // namespace daybreak
