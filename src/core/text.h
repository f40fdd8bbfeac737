#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace daybreak {

/// The shortest text that reads back as exactly `value` ("0.1", "1e-07", "nan"), in every locale.
std::string format_float(float value);
std::string format_float(double value);

/// The number a whole token says; nothing when any character is left over, the number does not fit
/// or it is not finite. Never looks at the locale. "+1", " 1" and "0x10" are not numbers.
std::optional<double> parse_double(std::string_view token);
std::optional<std::int64_t> parse_int(std::string_view token);

/// `text` in double quotes for a message: control and non-UTF-8 bytes escaped, cut at 80
/// characters.
std::string quote(std::string_view text);

/// "512 B", "31.0 MB", "2.5 GB" (powers of 1000).
std::string format_bytes(std::uint64_t bytes);

/// "64 x 3 x 7 x 7"; "scalar" for no dimensions.
std::string format_dims(std::span<const std::int64_t> dims);

/// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name` within max(1, length / 3) edits, the first of equals; else
/// nothing.
std::optional<std::string> nearest_name(std::string_view name,
                                        std::span<const std::string> candidates);

}  // namespace daybreak
