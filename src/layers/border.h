#pragma once

#include <string>
#include <vector>

#include "config/schema.h"

namespace daybreak {

/// Pixels added around a picture.
struct Border {
  int top = 0, right = 0, bottom = 0, left = 0;
};

/// Reads the forms of YAML: 1, [vertical, horizontal], [top, right, bottom, left].
Border to_border(const std::vector<int>& values);

/// Reports a list of three (fields already limit it to one to four numbers).
void check_border(const std::vector<int>& values, const Node& node, const Reader& reader,
                  const std::string& key);

}  // namespace daybreak
