#pragma once

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/schema.h"

// Tagged unions: a map with one key that selects the type, `{pad_crop: {pad: 4}}`; where a table
// has a short key, `{flip: 0.5}`; where nothing is required, just the name, `flip` or `relu`.
//
//   using TransformSpec = std::variant<PadCrop, Flip>;
//   const Union<TransformSpec>& config_union(Type<TransformSpec>) {   // std types: see below
//     static const Union<TransformSpec> kUnion{alternative<TransformSpec>("pad_crop", kPadCrop,
//     "..."),
//                                              alternative<TransformSpec>("flip", kFlip, "...")};
//     return kUnion;
//   }
// The choices may also be values of one plain struct, each with a table over some of its fields:
//   const Union<Activation> kActs{
//       choice<Activation>("relu", {.kind = ActKind::relu}, "max(0, x)"),
//       choice<Activation>("leaky", {.kind = ActKind::leaky}, "slope for x < 0", kLeaky)};
// where two values are the same choice when `same_choice(a, b)` holds (here: equal `kind`), a
// function in the type's namespace; otherwise pass a predicate. A field uses a union through
//   const Union<Activation>& config_union(Type<Activation>);
// or, whatever its type, through field("act", &Conv::act).custom(...) with Union's own functions.
// Type<T> makes the lookup work for std::variant too when an alternative lies in our namespace.

namespace daybreak {

/// One name of a union.
template <typename T>
struct Choice {
  std::string name;
  std::string doc;
  bool bare = true;     ///< may the name stand alone?
  bool printed = true;  ///< false: a second name of another choice
  std::function<bool(const Node* node, T&, const Reader&)> read;  ///< null: the name stood alone
  std::function<bool(const T&)> holds;
  std::function<Node(const T&)> write;  ///< what follows the name; an empty map: nothing
  std::function<TypeInfo()> type;       ///< of what follows the name
};

template <typename T>
class Union {
 public:
  template <typename... Choices>
  explicit Union(Choices... choices) {
    (choices_.push_back(std::move(choices)), ...);
  }
  bool read(const Node& node, T& value, const Reader& reader) const;
  Node write(const T& value) const;
  TypeInfo type() const;

 private:
  std::vector<Choice<T>> choices_;
};

/// The key of a one-key map or a bare name: index into `names`, and the value behind it (null for a
/// bare name). Reports what is wrong and returns -1.
int read_tag(const Node& node, const std::vector<std::string>& names, const std::vector<bool>& bare,
             const Node** value, const Reader& reader);

namespace detail {

template <typename S>
bool any_required(const Schema<S>& schema) {
  for (const FieldInfo& info : schema.fields())
    if (info.required) return true;
  return false;
}

inline TypeInfo map_type(const SchemaBase& schema) {
  TypeInfo info = TypeInfo::of(TypeInfo::Kind::map);
  info.schema = &schema;
  return info;
}

}  // namespace detail

/// The alternative S of a std::variant V.
template <typename V, typename S>
Choice<V> alternative(std::string name, const Schema<S>& schema, std::string doc = "") {
  Choice<V> result;
  result.name = std::move(name);
  result.doc = std::move(doc);
  result.bare = !detail::any_required(schema);
  result.read = [&schema](const Node* node, V& value, const Reader& reader) {
    S inner{};
    if (node && !schema.read(*node, inner, reader)) return false;
    value = std::move(inner);
    return true;
  };
  result.holds = [](const V& value) { return std::holds_alternative<S>(value); };
  result.write = [&schema](const V& value) { return schema.write(std::get<S>(value)); };
  result.type = [&schema] { return detail::map_type(schema); };
  return result;
}

/// A choice among values of one struct: `start`, changed by the fields of `schema`.
template <typename T>
Choice<T> choice(std::string name, T start, std::string doc, const Schema<T>& schema,
                 std::function<bool(const T&)> holds = {}) {
  Choice<T> result;
  result.name = std::move(name);
  result.doc = std::move(doc);
  result.bare = !detail::any_required(schema);
  result.read = [start, &schema](const Node* node, T& value, const Reader& reader) {
    T inner = start;
    if (node && !schema.read(*node, inner, reader)) return false;
    value = std::move(inner);
    return true;
  };
  if (holds) {
    result.holds = std::move(holds);
  } else if constexpr (requires { same_choice(start, start); }) {
    result.holds = [start](const T& value) { return same_choice(value, start); };
  }
  result.write = [&schema](const T& value) { return schema.write(value); };
  result.type = [start, &schema] {
    TypeInfo info = detail::map_type(schema);
    info.own_fields = [start, &schema] { return schema.fields_from(start); };
    return info;
  };
  return result;
}

/// A choice without fields.
template <typename T>
Choice<T> choice(std::string name, T start, std::string doc = "") {
  static const Schema<T> kNoFields;
  return choice<T>(std::move(name), std::move(start), std::move(doc), kNoFields);
}

template <typename T>
bool Union<T>::read(const Node& node, T& value, const Reader& reader) const {
  std::vector<std::string> names;
  std::vector<bool> bare;
  for (const Choice<T>& c : choices_) names.push_back(c.name), bare.push_back(c.bare);
  const Node* inner = nullptr;
  const int index = read_tag(node, names, bare, &inner, reader);
  if (index < 0) return false;
  const Choice<T>& chosen = choices_[static_cast<std::size_t>(index)];
  return chosen.read(inner, value, reader.at(chosen.name));
}

template <typename T>
Node Union<T>::write(const T& value) const {
  for (const Choice<T>& c : choices_) {
    if (!c.printed || !c.holds(value)) continue;
    Node inner = c.write(value);
    if (inner.is_map() && inner.entries.empty() && c.bare) return Node::make_scalar(c.name);
    Node map = Node::make_map();
    map.set(c.name, std::move(inner));
    return map;
  }
  return {};
}

template <typename T>
TypeInfo Union<T>::type() const {
  TypeInfo info = TypeInfo::of(TypeInfo::Kind::tagged);
  for (const Choice<T>& c : choices_) {
    info.names.push_back({c.name, c.doc});
    info.bare.push_back(c.bare);
    info.parts.push_back(c.type());
  }
  return info;
}

template <typename T>
concept HasConfigUnion = requires {
  config_union(Type<T>{});
};

template <HasConfigUnion T>
struct ValueTraits<T> {
  static bool read(const Node& node, T& value, const Reader& reader) {
    return config_union(Type<T>{}).read(node, value, reader);
  }
  static Node write(const T& value, const Rules&) { return config_union(Type<T>{}).write(value); }
  static TypeInfo type(const Rules&) { return config_union(Type<T>{}).type(); }
};

}  // namespace daybreak
