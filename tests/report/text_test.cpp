#include "report/text.h"

#include <gtest/gtest.h>

#include <limits>

#include "report/table.h"

namespace daybreak {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Text, SeparatesThousands) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1000), "1,000");
  EXPECT_EQ(with_separators(-1234567), "-1,234,567");
  EXPECT_EQ(with_separators(std::numeric_limits<std::int64_t>::min()),
            "-9,223,372,036,854,775,808");
}

TEST(Text, ScalesFlopsAndCounts) {
  EXPECT_EQ(human_flops(0), "0 FLOP");
  EXPECT_EQ(human_flops(230e3), "0.23 MFLOP");
  EXPECT_EQ(human_flops(802e6), "802 MFLOP");
  EXPECT_EQ(human_flops(1.26e9), "1.26 GFLOP");
  EXPECT_EQ(human_flops(999.6e6), "1.00 GFLOP");
  EXPECT_EQ(human_flops(kNan), "- FLOP");
  EXPECT_EQ(human_count(980), "980");
  EXPECT_EQ(human_count(93322), "93.3 k");
  EXPECT_EQ(human_count(31410922), "31.4 M");
  EXPECT_EQ(human_count(999999), "1.00 M");
}

TEST(Text, FormatsTimes) {
  EXPECT_EQ(clock_text(7.2), "0:07");
  EXPECT_EQ(clock_text(750), "12:30");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(kNan), "-:--");
  EXPECT_EQ(clock_text(kInf), "-:--");
  EXPECT_EQ(clock_text(-1), "-:--");
  EXPECT_EQ(duration_text(0.414), "0.41 s");
  EXPECT_EQ(duration_text(14.24), "14.2 s");
  EXPECT_EQ(duration_text(123), "2:03");
}

TEST(Text, FormatsMetricsAndRates) {
  EXPECT_EQ(metric_text(0.5124), "0.512");
  EXPECT_EQ(metric_text(0.0), "0.000");
  EXPECT_EQ(metric_text(2.13e-5), "2.13e-05");
  EXPECT_EQ(metric_text(123456.0), "1.23e+05");
  EXPECT_EQ(metric_text(kNan), "nan");
  EXPECT_EQ(metric_text(-kInf), "-inf");
  EXPECT_EQ(rate_text(0.05), "0.0500");
  EXPECT_EQ(rate_text(3e-5), "3.00e-05");
  EXPECT_EQ(rate_text(0.0), "0.0000");
  EXPECT_EQ(image_rate_text(12400.4), "12,400 img/s");
  EXPECT_EQ(image_rate_text(55.31), "55.3 img/s");
  EXPECT_EQ(image_rate_text(kNan), "- img/s");
  EXPECT_EQ(percent_text(0.93421), "93.42 %");
  EXPECT_EQ(percent_text(kNan), "-");
  EXPECT_EQ(short_number(0.03), "0.03");
}

TEST(Text, CleansWhatCouldHarmATerminal) {
  EXPECT_EQ(clean_text("a\x1b[31mb\n"), "a\xEF\xBF\xBD[31mb\xEF\xBF\xBD");
  EXPECT_EQ(clean_block("a\tb\nc\r"), "a\tb\nc\xEF\xBF\xBD");
  EXPECT_EQ(clean_text("stra\xC3\x9F"
                       "e \xE7\x8C\xAB \xF0\x9F\x90\x95"),
            "stra\xC3\x9F"
            "e \xE7\x8C\xAB \xF0\x9F\x90\x95");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(clean_text("\xFF"), bad);          // never a first byte
  EXPECT_EQ(clean_text("\xC3"), bad);          // cut short
  EXPECT_EQ(clean_text("\xC0\xAF"), bad);      // overlong "/"
  EXPECT_EQ(clean_text("\xED\xA0\x80"), bad);  // surrogate
  EXPECT_EQ(clean_text("\xE2\x80\xAE"
                       "x"),
            bad + "x");                                    // right-to-left override
  EXPECT_EQ(clean_text("\xE2\x28\xA1"), bad + "(" + bad);  // goes on after the damage
}

TEST(Text, MeasuresAndCutsColumns) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("\xE7\x8C\xAB"), 2u);  // a wide character
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);     // with a combining accent
  EXPECT_EQ(fit_columns("abcdef", 6), "abcdef");
  EXPECT_EQ(fit_columns("abcdefg", 6), "abcde~");
  EXPECT_EQ(fit_columns("\xE7\x8C\xAB\xE7\x8C\xAB\xE7\x8C\xAB", 4), "\xE7\x8C\xAB~");
  EXPECT_EQ(fit_columns("abc", 0), "");
}

TEST(TableTest, AlignsColumns) {
  Table table({{"layer"}, {"output"}, {"params", Align::right}});
  table.add_row({"conv1", "32x28x28", "320"});
  table.add_row({"fc", "10", "12,345"});
  table.add_rule();
  table.add_row({"total"});
  EXPECT_EQ(table.to_string(),
            "layer  output    params\n"
            "conv1  32x28x28     320\n"
            "fc     10        12,345\n"
            "-----------------------\n"
            "total\n");
  EXPECT_EQ(table.rows(), 4u);
}

TEST(TableTest, CutsWideCellsAndCleansThem) {
  Table table({{"", Align::left, 5}, {"", Align::right}});
  table.add_row(
      {"a\x1b"
       "bcdefgh",
       "1"});
  table.add_row({"\xE7\x8C\xAB", "22"});
  EXPECT_EQ(table.to_string(),
            "a\xEF\xBF\xBD"
            "bc~   1\n"
            "\xE7\x8C\xAB     22\n");
}

}  // namespace
}  // namespace daybreak
