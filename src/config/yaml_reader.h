#pragma once

#include <string>
#include <string_view>

#include "config/diagnostics.h"
#include "config/node.h"

// A strict subset of YAML: one document of maps, lists and scalars. Duplicate keys, tags, merge
// keys, tabs and deep or huge input are errors with a place.

namespace daybreak {

namespace yaml_limits {
inline constexpr std::size_t kFileBytes = std::size_t{4} << 20;
inline constexpr std::size_t kScalarBytes = std::size_t{64} << 10;
inline constexpr int kDepth = 64;
inline constexpr int kAliases = 100;            ///< uses of anchors
inline constexpr std::size_t kNodes = 100'000;  ///< values, after aliases are expanded
inline constexpr int kBases = 8;                ///< `_base_` levels
}  // namespace yaml_limits

/// Parses `text`; `file` is what marks show. Duplicate keys and the like go to `diagnostics`, and
/// so does the first syntax error, after which an empty map is returned.
Node read_yaml(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// The bytes of a configuration file, "builtin:PATH" included. Throws ConfigError when it cannot be
/// read or is too large.
std::string read_config_file(const std::string& path);

}  // namespace daybreak
