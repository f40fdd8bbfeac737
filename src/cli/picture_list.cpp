#include "cli/picture_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/class_names.h"
#include "core/error.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return extension;
}

bool is_picture_name(const fs::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

std::string no_pictures(std::size_t files, std::size_t folders) {
  if (files > 0) {
    return fmt::format("none of the {} files is a picture (.jpg, .jpeg, .png)", files);
  }
  if (folders > 0) {
    return fmt::format(
        "has folders ({}) but no pictures (.jpg, .jpeg, .png); name the folders that have them",
        folders);
  }
  return "the folder is empty; expected pictures (.jpg, .jpeg, .png)";
}

void add_folder(const std::string& folder, std::vector<std::string>& pictures) {
  std::vector<std::string> found;
  std::size_t others = 0, folders = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    folders += entry.is_directory(error) ? 1 : 0;
    if (!entry.is_regular_file(error)) continue;
    if (is_picture_name(entry.path())) {
      found.push_back(entry.path().string());
    } else {
      ++others;
    }
  }
  if (error) throw DataError(folder, "cannot read the folder: " + error.message());
  if (found.empty()) throw DataError(folder, no_pictures(others, folders));
  std::sort(found.begin(), found.end());
  pictures.insert(pictures.end(), found.begin(), found.end());
}

std::string without_margins(const std::string& line) {
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return line.substr(begin, line.find_last_not_of(" \t") + 1 - begin);
}

// A picture a line; paths are relative to the list.
void add_list(const std::string& list, std::vector<std::string>& pictures) {
  const std::size_t before = pictures.size();
  for (const std::string& raw : read_class_names(list)) {
    const std::string line = without_margins(raw);
    if (line.empty()) continue;
    const fs::path path(line);
    pictures.push_back(path.is_absolute() ? line : (fs::path(list).parent_path() / path).string());
  }
  if (pictures.size() == before) throw DataError(list, "the list names no pictures");
}

}  // namespace

std::vector<std::string> list_pictures(const std::vector<std::string>& arguments) {
  std::vector<std::string> pictures;
  for (const std::string& argument : arguments) {
    if (fs::is_directory(argument)) {
      add_folder(argument, pictures);
    } else if (lower_extension(argument) == ".txt") {
      add_list(argument, pictures);
    } else {
      pictures.push_back(argument);
    }
  }
  return pictures;
}

}  // namespace daybreak
