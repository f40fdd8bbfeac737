#pragma once

// Bodies of config/schema.h, which includes this file.

#include "config/schema.h"
#include "config/yaml_writer.h"

namespace daybreak {

template <typename T>
bool Schema<T>::read(const Node& node, T& value, const Reader& reader) const {
  Node wrapped;
  const Node* map = &node;
  if (!short_key_.empty() && !node.is_map() && !node.is_null()) {
    wrapped = Node::make_map(node.mark);
    wrapped.set(short_key_, node);
    map = &wrapped;
  }
  const bool good =
      read_map(*map, keys_, required_, *this, reader, [&](std::size_t i, const Node& child) {
        return fields_[i].read(child, value, reader.at(keys_[i]));
      });
  if (!good) return false;
  const std::size_t errors_before = reader.diagnostics().size();
  for (const CheckOf<T>& check : checks_) check.run(value, *map, reader);
  return reader.diagnostics().size() == errors_before;
}

template <typename T>
std::vector<FieldInfo> Schema<T>::fields_from(const T& start) const {
  std::vector<FieldInfo> result;
  for (const FieldOf<T>& f : fields_) {
    const Node node = f.write(start);
    const bool shown = !f.required && !node.is_null();
    result.push_back({f.key, f.doc, f.type(), shown ? to_yaml_flow(node) : "", f.required});
  }
  return result;
}

/// A nested map whose fields lie in the same struct as those of the outer table.
template <typename T>
FieldOf<T> group(std::string key, const Schema<T>& schema, std::string doc = "") {
  return {std::move(key),
          std::move(doc),
          false,
          [&schema](const Node& node, T& value, const Reader& r) {
            return schema.read(node, value, r);
          },
          [&schema](const T& value) { return schema.write(value); },
          [&schema] {
            TypeInfo info = TypeInfo::of(TypeInfo::Kind::map);
            info.schema = &schema;
            return info;
          }};
}

template <typename T>
concept HasConfigSchema = requires {
  config_schema(Type<T>{});
};

/// Structs with a table.
template <HasConfigSchema T>
struct ValueTraits<T> {
  static bool read(const Node& node, T& value, const Reader& reader) {
    return config_schema(Type<T>{}).read(node, value, reader);
  }
  static Node write(const T& value, const Rules&) { return config_schema(Type<T>{}).write(value); }
  static TypeInfo type(const Rules&) {
    TypeInfo info = TypeInfo::of(TypeInfo::Kind::map);
    info.schema = &config_schema(Type<T>{});
    return info;
  }
};

}  // namespace daybreak
