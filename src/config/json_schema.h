#pragma once

#include <span>
#include <string>

#include "config/network_spec.h"
#include "config/schema_types.h"

// JSON schemas (draft 7) made from the field tables: editors complete and check YAML with them.

namespace daybreak {

/// Of solver files.
std::string solver_json_schema();
/// Of data descriptors.
std::string data_json_schema();
/// Of network files with these layer types.
std::string network_json_schema(std::span<const LayerSchemaEntry> layers);

/// Reference in Markdown: a table of keys, types, defaults and explanations, and below it one for
/// each nested map.
std::string markdown_reference(const SchemaBase& schema, const std::string& title);
/// The solver's reference.
std::string solver_markdown();

}  // namespace daybreak
