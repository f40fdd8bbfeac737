#pragma once

#include <string>

#include "config/node.h"

namespace daybreak {

/// YAML text of a map: block style for the outer levels, flow style for leaves that fit a line.
/// Reads back to the same content.
std::string to_yaml(const Node& node);

/// The same on one line: `{a: 1, b: [2, 3]}`.
std::string to_yaml_flow(const Node& node);

}  // namespace daybreak
