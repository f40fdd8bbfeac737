#pragma once

#include <string>

namespace daybreak {

/// Reference of all layer types in Markdown, made from their field tables.
std::string layers_markdown();

}  // namespace daybreak
