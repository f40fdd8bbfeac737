#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace daybreak::test {

/// Path of a file or folder of the shared data (environment variable DAYBREAK_SHARED, else the
/// folder "shared" beside the checkout); empty when it is absent, and then the test skips.
inline std::string shared_data(const std::string& name) {
  const char* root = std::getenv("DAYBREAK_SHARED");
  const std::filesystem::path path =
      (root != nullptr ? std::filesystem::path(root)
                       : std::filesystem::path(DAYBREAK_SOURCE_DIR).parent_path() / "shared") /
      name;
  return std::filesystem::exists(path) ? path.string() : std::string();
}

}  // namespace daybreak::test
