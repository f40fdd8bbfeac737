#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Numbers and names as people read them; never consults the locale.

namespace daybreak {

/// 12400 -> "12,400".
std::string with_separators(std::int64_t value);

/// Floating-point operations with a decimal unit: "0.23 MFLOP", "1.26 GFLOP".
std::string human_flops(double flops);

/// A count with a decimal suffix and three digits: "980", "93.3 k", "31.4 M".
std::string human_count(double count);

/// A span of time: "0.41 s", "14.2 s", "2:03", "1:02:03".
std::string duration_text(double seconds);

/// Time left on a clock: "0:07", "12:30", "1:02:03"; "-:--" when it is not known.
std::string clock_text(double seconds);

/// A loss or accuracy: three decimals, or scientific where these would say nothing ("2.13e-05").
std::string metric_text(double value);

/// A learning rate or momentum: "0.0500", "1.3000", "3.00e-05".
std::string rate_text(double value);

/// `digits` significant digits without trailing zeros: "0.03", "1e-05".
std::string short_number(double value, int digits = 4);

/// A share of one as percent: 0.9342 -> "93.42 %".
std::string percent_text(double share, int decimals = 2);

/// Images per second: "12,400 img/s", below 100 with one decimal: "55.3 img/s".
std::string image_rate_text(double images_per_second);

/// Valid UTF-8 without control characters: what is not is replaced by U+FFFD. For names that come
/// from files and end on a terminal or in a page.
std::string clean_text(std::string_view text);

/// As clean_text(), but keeps line feeds and tabs.
std::string clean_block(std::string_view text);

/// Columns that UTF-8 text takes on a terminal: 2 for wide East Asian characters, 0 for combining
/// ones.
std::size_t display_width(std::string_view text);

/// At most `columns` wide; what is cut from the end is shown as "~".
std::string fit_columns(std::string_view text, std::size_t columns);

}  // namespace daybreak
