#pragma once

#include <string>
#include <vector>

namespace daybreak {

/// The pictures that arguments name: files, folders (their .jpg, .jpeg and .png files, sorted) and
/// lists (.txt, a path a line, relative to the list). Throws DataError for a folder or a list
/// without pictures; whether files exist shows when they are read.
std::vector<std::string> list_pictures(const std::vector<std::string>& arguments);

}  // namespace daybreak
