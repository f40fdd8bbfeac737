#pragma once

#include <span>
#include <string_view>

namespace daybreak {

/// A shipped file that is also inside the binary. Paths are relative to the project's root
/// ("cfg/net/lenet.yaml"); as a file name it is written "builtin:cfg/net/lenet.yaml".
struct BuiltinFile {
  std::string_view path;
  std::string_view text;
};

/// Everything in cfg/ and data/*.yaml, made by cmake/embed.cmake.
std::span<const BuiltinFile> builtin_files();

}  // namespace daybreak
