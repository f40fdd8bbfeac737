#include "config/json_schema.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "config/solver_schema.h"
#include "config/yaml_reader.h"

namespace daybreak {

const SchemaBase& network_file_schema();  // network_parser.cpp
const SchemaBase& repeat_layer_schema();  // layer_list.cpp

namespace {

using Json = nlohmann::ordered_json;
using Kind = TypeInfo::Kind;

Json number_limit(double value) {
  constexpr double kExactWhole = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::abs(value) < kExactWhole)
    return static_cast<std::int64_t>(value);
  return value;
}

void add_range(Json& json, const Rules& rules) {
  if (std::isfinite(rules.lo))
    json[rules.lo_open ? "exclusiveMinimum" : "minimum"] = number_limit(rules.lo);
  if (std::isfinite(rules.hi))
    json[rules.hi_open ? "exclusiveMaximum" : "maximum"] = number_limit(rules.hi);
}

/// The default as JSON: its YAML text read back.
Json json_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::null:
      return nullptr;
    case NodeKind::list: {
      Json list = Json::array();
      for (const Node& item : node.items) list.push_back(json_of(item));
      return list;
    }
    case NodeKind::map: {
      Json map = Json::object();
      for (const NodeEntry& entry : node.entries) map[entry.key] = json_of(entry.value);
      return map;
    }
    case NodeKind::scalar:
      break;
  }
  if (!node.quoted) {
    const Json value = Json::parse(node.text, nullptr, /*allow_exceptions=*/false);
    if (!value.is_discarded()) return value;
  }
  return node.text;
}

class Generator {
 public:
  Json document(const SchemaBase& schema, const std::string& title) {
    Json json = {{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", title}};
    const Json body = map(schema.fields(), /*check_required=*/true);
    for (const auto& [key, value] : body.items()) json[key] = value;
    json["properties"]["$schema"] = {{"type", "string"}};
    json["properties"]["_base_"] = {{"type", "string"},
                                    {"description", "file to start from, relative to this one"}};
    json.erase("required");  // a `_base_` may give what is missing here
    return json;
  }

  Json map(const std::vector<FieldInfo>& fields, bool check_required) {
    Json properties = Json::object(), required = Json::array();
    for (const FieldInfo& info : fields) {
      properties[info.key] = field(info);
      if (info.required) required.push_back(info.key);
    }
    Json json = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (check_required && !required.empty()) json["required"] = required;
    return json;
  }

  Json type(const TypeInfo& info) {
    switch (info.kind) {
      case Kind::any:
        return Json::object();
      case Kind::boolean:
        return {{"type", "boolean"}};
      case Kind::integer:
      case Kind::number: {
        Json json = {{"type", info.kind == Kind::integer ? "integer" : "number"}};
        add_range(json, info.rules);
        return json;
      }
      case Kind::text:
        return text(info);
      case Kind::names:
        return names(info);
      case Kind::list:
      case Kind::pair:
        return list(info);
      case Kind::map:
        return map_or_short(info);
      case Kind::tagged:
        return tagged(info);
      case Kind::one_of: {
        Json parts = Json::array();
        for (const TypeInfo& part : info.parts) parts.push_back(type(part));
        return {{"anyOf", parts}};
      }
      case Kind::layers:
        return {{"$ref", "#/definitions/layers"}};
    }
    return Json::object();
  }

 private:
  Json field(const FieldInfo& info) {
    Json json = type(info.type);
    describe(json, info.doc);
    if (!info.default_text.empty()) {
      Diagnostics unused;
      json["default"] = json_of(read_yaml(info.default_text, "", unused));
    }
    // Draft 7 ignores what stands beside $ref.
    if (json.contains("$ref"))
      json = {{"allOf", Json::array({{{"$ref", json["$ref"]}}})}, {"description", info.doc}};
    return json;
  }

  /// A field's own text first, then what its type says about its names.
  static void describe(Json& json, const std::string& doc) {
    if (doc.empty()) return;
    const std::string names = json.value("description", "");
    json["description"] = names.empty() ? doc : fmt::format("{} ({})", doc, names);
  }

  static Json text(const TypeInfo& info) {
    // YAML's unquoted numbers and words are text where text is expected.
    Json json = {{"type", info.pattern.empty() ? Json::array({"string", "number", "boolean"})
                                               : Json("string")}};
    if (!info.pattern.empty()) json["pattern"] = info.pattern;
    if (!info.rules.empty_text) json["minLength"] = 1;
    return json;
  }

  static Json names(const TypeInfo& info) {
    Json values = Json::array();
    std::string docs;
    for (const NameDoc& name : info.names) {
      values.push_back(name.name);
      if (!name.doc.empty())
        docs += fmt::format("{}{}: {}", docs.empty() ? "" : "; ", name.name, name.doc);
    }
    Json json = {{"enum", values}};
    if (!docs.empty()) json["description"] = docs;
    return json;
  }

  Json list(const TypeInfo& info) {
    Json json = {{"type", "array"}, {"items", type(info.parts[0])}};
    const bool pair = info.kind == Kind::pair;
    const std::size_t lo = pair ? 2 : info.rules.min_items, hi = pair ? 2 : info.rules.max_items;
    if (lo > 0) json["minItems"] = lo;
    if (hi < Rules{}.max_items) json["maxItems"] = hi;
    return json;
  }

  Json map_or_short(const TypeInfo& type_info) {
    const std::vector<FieldInfo> fields = type_info.fields();
    Json full = map(fields, /*check_required=*/true);
    for (const FieldInfo& info : fields) {
      if (info.key == type_info.schema->short_key())
        return {{"anyOf", Json::array({type(info.type), full})}};
    }
    return full;
  }

  Json tagged(const TypeInfo& info) {
    Json bare = Json::array(), properties = Json::object();
    for (std::size_t i = 0; i < info.names.size(); ++i) {
      if (info.bare[i]) bare.push_back(info.names[i].name);
      Json value = type(info.parts[i]);
      if (!info.names[i].doc.empty()) value["description"] = info.names[i].doc;
      properties[info.names[i].name] = value;
    }
    const Json map = {{"type", "object"},
                      {"properties", properties},
                      {"additionalProperties", false},
                      {"minProperties", 1},
                      {"maxProperties", 1}};
    if (bare.empty()) return map;
    return {{"anyOf", Json::array({{{"enum", bare}}, map})}};
  }
};

/// Options of a layer, with the keys that every layer has.
Json layer_options(Generator& generator, const SchemaBase& schema, bool check_required) {
  Json json = generator.map(schema.fields(), check_required);
  if (!check_required) return json;
  json["properties"]["name"] = {{"type", Json::array({"string", "number"})},
                                {"description", "of this layer"}};
  const Json name = {{"type", Json::array({"string", "number"})}};
  json["properties"]["from"] = {
      {"anyOf", Json::array({name, {{"type", "array"}, {"items", name}, {"minItems", 1}}})},
      {"description", "layers it reads; default: the one before"}};
  return json;
}

Json layer_value(Generator& generator, const LayerSchemaEntry& entry) {
  Json options = layer_options(generator, *entry.schema, /*check_required=*/true);
  const std::string& key = entry.schema->short_key();
  for (const FieldInfo& info : entry.schema->fields()) {
    if (!key.empty() && info.key == key)
      options = {{"anyOf", Json::array({generator.type(info.type), options})}};
  }
  options["description"] = entry.doc;
  return options;
}

}  // namespace

std::string solver_json_schema() {
  return Generator().document(solver_schema(), "daybreak solver").dump(2) + "\n";
}

std::string data_json_schema() {
  return Generator().document(config_schema(Type<DataFile>{}), "daybreak data descriptor").dump(2) +
         "\n";
}

std::string network_json_schema(std::span<const LayerSchemaEntry> layers) {
  Generator generator;
  Json json = generator.document(network_file_schema(), "daybreak network");
  Json bare = Json::array(), values = Json::object(), defaults = Json::object();
  for (const LayerSchemaEntry& entry : layers) {
    values[entry.type] = layer_value(generator, entry);
    defaults[entry.type] = layer_options(generator, *entry.schema, /*check_required=*/false);
    bool any_required = false;
    for (const FieldInfo& info : entry.schema->fields())
      any_required = any_required || info.required;
    if (!any_required) bare.push_back(entry.type);
  }
  values["repeat"] = generator.map(repeat_layer_schema().fields(), /*check_required=*/true);
  values["repeat"]["description"] = "the same layers several times";
  const Json one = {{"type", "object"},
                    {"properties", values},
                    {"additionalProperties", false},
                    {"minProperties", 1},
                    {"maxProperties", 1}};
  json["definitions"]["layers"] = {{"type", "array"},
                                   {"items", {{"anyOf", Json::array({{{"enum", bare}}, one})}}}};
  json["properties"]["defaults"] = {
      {"type", "object"},
      {"properties", defaults},
      {"additionalProperties", false},
      {"description", "options by layer type, for layers that do not set them"}};
  return json.dump(2) + "\n";
}

}  // namespace daybreak
