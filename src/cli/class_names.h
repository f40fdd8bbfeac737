#pragma once

#include <string>
#include <vector>

namespace daybreak {

/// Class names of a text file, one a line; empty lines at the end are left out. Throws DataError.
std::vector<std::string> read_class_names(const std::string& path);

}  // namespace daybreak
