#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/node.h"

// From files to one tree: `_base_` files merged in, `--set` values put in, paths made usable.

namespace daybreak {

/// The map in a file, with its `_base_` files below it. `$schema` is dropped. What is wrong goes to
/// `diagnostics`; then the map may be incomplete. `named_at` is where the file was named, for
/// messages when it cannot be read; without a file there, the message is about `path` itself.
Node load_map(const std::string& path, Diagnostics& diagnostics, const Mark& named_at = {});

/// The same for text that is not in a file of its own.
Node load_map_text(const std::string& text, const std::string& file, Diagnostics& diagnostics);

/// One `--set a.b[0].c=value`.
struct Override {
  struct Part {
    std::string key;        ///< of a map
    std::size_t index = 0;  ///< of a list, when key is empty
  };
  std::string key;  ///< as written, before the "="
  std::vector<Part> path;
  Node value;  ///< marks name "--set KEY"
};
std::vector<Override> parse_overrides(const std::vector<std::string>& sets,
                                      Diagnostics& diagnostics);

/// Puts a value into a tree. Maps on the way are made where nothing is; the field tables find keys
/// that do not exist. `skip` parts of the path were used already.
void apply_override(Node& root, const Override& change, Diagnostics& diagnostics,
                    std::size_t skip = 0);

/// A path as it can be opened: relative ones are relative to the file that names them, or to the
/// working directory when that is no file ("--set KEY").
std::string path_beside(const std::string& path, const Mark& named_at);

/// The same for data: absolute, and relative to the working directory when a built-in file names
/// it.
std::string data_path(const std::string& path, const Mark& named_at);

/// Replaces ${NAME} by environment variables; a variable that is not set leaves `text` as it is.
/// False for a malformed reference.
bool expand_variables(const std::string& text, std::string& result);

}  // namespace daybreak
