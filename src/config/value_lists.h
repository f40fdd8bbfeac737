#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "config/values.h"

// Optional values, lists and pairs of what config/values.h reads.

namespace daybreak {

template <typename T>
struct ValueTraits<std::optional<T>> {
  static bool read(const Node& node, std::optional<T>& value, const Reader& reader) {
    T inner = value.value_or(T{});
    if (!ValueTraits<T>::read(node, inner, reader)) return false;
    value = std::move(inner);
    return true;
  }
  static Node write(const std::optional<T>& value, const Rules& rules) {
    return value ? ValueTraits<T>::write(*value, rules) : Node{};
  }
  static TypeInfo type(const Rules& rules) { return ValueTraits<T>::type(rules); }
};

template <typename T>
struct ValueTraits<std::vector<T>> {
  static bool read(const Node& node, std::vector<T>& value, const Reader& reader) {
    T one{};
    if (reader.rules().single && !node.is_list()) {
      if (!ValueTraits<T>::read(node, one, reader)) return false;
      value = {std::move(one)};
      return true;
    }
    if (!check_list(node, reader)) return false;
    std::vector<T> result;
    bool good = true;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      one = T{};
      good &= ValueTraits<T>::read(node.items[i], one, reader.at(i).with(reader.rules()));
      result.push_back(std::move(one));
    }
    if (good) value = std::move(result);
    return good;
  }
  static Node write(const std::vector<T>& value, const Rules& rules) {
    Node list = Node::make_list();
    for (const T& item : value) list.items.push_back(ValueTraits<T>::write(item, rules));
    return list;
  }
  static TypeInfo type(const Rules& rules) {
    TypeInfo info = TypeInfo::of(TypeInfo::Kind::list, rules);
    info.parts = {ValueTraits<T>::type(rules)};
    return rules.single ? TypeInfo::one_of({info.parts[0], info}) : info;
  }
};

template <typename T>
struct ValueTraits<std::array<T, 2>> {
  static bool read(const Node& node, std::array<T, 2>& value, const Reader& reader) {
    std::vector<T> items;
    Rules rules = reader.rules();
    rules.min_items = rules.max_items = 2;
    if (!ValueTraits<std::vector<T>>::read(node, items, reader.with(rules))) return false;
    value = {items.front(), items.back()};
    return true;
  }
  static Node write(const std::array<T, 2>& value, const Rules& rules) {
    if (rules.single && value[0] == value[1]) return ValueTraits<T>::write(value[0], rules);
    return ValueTraits<std::vector<T>>::write({value[0], value[1]}, rules);
  }
  static TypeInfo type(const Rules& rules) {
    TypeInfo info = TypeInfo::of(TypeInfo::Kind::pair, rules);
    info.parts = {ValueTraits<T>::type(rules)};
    return rules.single ? TypeInfo::one_of({info.parts[0], info}) : info;
  }
};

}  // namespace daybreak
