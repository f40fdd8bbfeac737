#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/network_spec.h"
#include "layers/layer.h"

namespace daybreak {

/// Every layer type there is, in the order of the documentation.
std::span<const LayerType> layer_types();

/// Null when there is none.
const LayerType* find_layer_type(std::string_view name);
std::vector<std::string> layer_type_names();

/// The layer types as config sees them, for the JSON schema and the reference.
std::vector<LayerSchemaEntry> layer_schema_entries();

}  // namespace daybreak
