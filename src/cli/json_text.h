#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace daybreak {

/// JSON as one line of text. Names of files may be any bytes: what is no UTF-8 becomes U+FFFD.
template <typename Json>
std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace daybreak
