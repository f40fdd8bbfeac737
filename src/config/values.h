#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "config/schema_types.h"

// How C++ types are read from and written to YAML nodes. Specialise ValueTraits for a type with a
// form of its own; users include config/schema.h.

namespace daybreak {

/// Names a type for overload lookup.
template <typename T>
struct Type {};

bool read_bool(const Node& node, bool& value, const Reader& reader);
bool read_whole(const Node& node, std::int64_t& value, std::int64_t lo, std::int64_t hi,
                const Reader& reader);
bool read_unsigned(const Node& node, std::uint64_t& value, const Reader& reader);
bool read_number(const Node& node, double& value, double limit, const Reader& reader);
bool read_text(const Node& node, std::string& value, const Reader& reader);
/// Index of the name that `node` holds; -1 after reporting what is wrong.
int read_name(const Node& node, const std::vector<std::string>& names, const Reader& reader);
/// Checks the kind and the number of items of a list.
bool check_list(const Node& node, const Reader& reader);

/// Decimal text that reads back as the same value.
std::string number_text(double value);
std::string number_text(float value);

/// How T is read, written and described. `read` keeps `value` and returns false after reporting.
template <typename T>
struct ValueTraits;

template <>
struct ValueTraits<bool> {
  static bool read(const Node& node, bool& value, const Reader& r) {
    return read_bool(node, value, r);
  }
  static Node write(bool value, const Rules&) {
    return Node::make_scalar(value ? "true" : "false");
  }
  static TypeInfo type(const Rules&) { return TypeInfo::of(TypeInfo::Kind::boolean); }
};

template <std::signed_integral T>
struct ValueTraits<T> {
  static bool read(const Node& node, T& value, const Reader& reader) {
    std::int64_t wide = 0;
    if (!read_whole(node, wide, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(),
                    reader))
      return false;
    value = static_cast<T>(wide);
    return true;
  }
  static Node write(T value, const Rules&) { return Node::make_scalar(std::to_string(value)); }
  static TypeInfo type(const Rules& rules) { return TypeInfo::of(TypeInfo::Kind::integer, rules); }
};

template <>
struct ValueTraits<std::uint64_t> {
  static bool read(const Node& node, std::uint64_t& value, const Reader& reader) {
    return read_unsigned(node, value, reader);
  }
  static Node write(std::uint64_t value, const Rules&) {
    return Node::make_scalar(std::to_string(value));
  }
  static TypeInfo type(Rules rules) {
    rules.lo = std::max(rules.lo, 0.0);
    return TypeInfo::of(TypeInfo::Kind::integer, rules);
  }
};

template <std::floating_point T>
struct ValueTraits<T> {
  static bool read(const Node& node, T& value, const Reader& reader) {
    double wide = 0;
    if (!read_number(node, wide, std::numeric_limits<T>::max(), reader)) return false;
    value = static_cast<T>(wide);
    return true;
  }
  static Node write(T value, const Rules&) { return Node::make_scalar(number_text(value)); }
  static TypeInfo type(const Rules& rules) { return TypeInfo::of(TypeInfo::Kind::number, rules); }
};

template <>
struct ValueTraits<std::string> {
  static bool read(const Node& node, std::string& value, const Reader& reader) {
    return read_text(node, value, reader);
  }
  static Node write(const std::string& value, const Rules&) { return Node::make_text(value); }
  static TypeInfo type(const Rules& rules) { return TypeInfo::of(TypeInfo::Kind::text, rules); }
};

/// Passed on as it is, for options that another stage reads.
template <>
struct ValueTraits<Node> {
  static bool read(const Node& node, Node& value, const Reader&) { return value = node, true; }
  static Node write(const Node& value, const Rules&) { return value; }
  static TypeInfo type(const Rules&) { return {}; }
};

/// Enums have a table: `std::span<const EnumName<E>> enum_names(E)` in the enum's namespace.
template <typename E>
requires std::is_enum_v<E>
struct ValueTraits<E> {
  static bool read(const Node& node, E& value, const Reader& reader) {
    std::vector<std::string> names;
    for (const EnumName<E>& entry : enum_names(E{})) names.emplace_back(entry.name);
    const int index = read_name(node, names, reader);
    if (index < 0) return false;
    value = enum_names(E{})[static_cast<std::size_t>(index)].value;
    return true;
  }
  static Node write(E value, const Rules&) {
    for (const EnumName<E>& entry : enum_names(E{})) {
      if (entry.value == value) return Node::make_scalar(std::string(entry.name));
    }
    return {};
  }
  static TypeInfo type(const Rules&) {
    TypeInfo info = TypeInfo::of(TypeInfo::Kind::names);
    for (const EnumName<E>& entry : enum_names(E{}))
      info.names.push_back({std::string(entry.name), std::string(entry.doc)});
    return info;
  }
};

}  // namespace daybreak
