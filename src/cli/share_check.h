#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/text.h"

namespace daybreak {

/// For options that are shares: numbers in 0..1, and no NaN.
inline CLI::Validator share_check() {
  return CLI::Validator(
      [](std::string& text) {
        const auto number = parse_double(text);
        const bool is_share = number && *number >= 0.0 && *number <= 1.0;
        return is_share ? std::string() : "must be a number in 0..1, found " + quote(text);
      },
      "0..1");
}

}  // namespace daybreak
