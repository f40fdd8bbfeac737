#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/value_lists.h"
#include "config/values.h"

// One line of a field table; config/schema.h shows how tables are written.

namespace daybreak {

/// A field with its struct's type: what a table needs of it.
template <typename T>
struct FieldOf {
  std::string key;
  std::string doc;
  bool required = false;
  std::function<bool(const Node&, T&, const Reader&)> read;
  std::function<Node(const T&)> write;  ///< null node: not printed
  std::function<TypeInfo()> type;
};

template <typename T>
struct CheckOf {
  std::function<void(const T&, const Node&, const Reader&)> run;
};

/// One line of a table, while it is being written.
template <typename T, typename M>
class Field {
 public:
  Field(std::string key, M T::*member) : member_(member), key_(std::move(key)) {}

  Field& in(double lo, double hi) { return rules_.lo = lo, rules_.hi = hi, *this; }
  Field& each_in(double lo, double hi) { return in(lo, hi); }
  Field& above(double lo) { return rules_.lo = lo, rules_.lo_open = true, *this; }
  Field& below(double hi) { return rules_.hi = hi, rules_.hi_open = true, *this; }
  Field& at_least(double lo) { return rules_.lo = lo, *this; }
  Field& at_most(double hi) { return rules_.hi = hi, *this; }
  Field& items(std::size_t lo, std::size_t hi) {
    return rules_.min_items = lo, rules_.max_items = hi, *this;
  }
  Field& one_or_both() { return rules_.single = true, *this; }
  Field& one_or_many() { return rules_.single = true, *this; }
  Field& not_empty() { return rules_.empty_text = false, *this; }
  Field& required() { return required_ = true, *this; }
  Field& doc(std::string text) { return doc_ = std::move(text), *this; }
  Field& or_word(std::string word, M value) {
    words_.push_back({std::move(word), value, [value](const M& other) { return other == value; }});
    return *this;
  }
  Field& custom(std::function<bool(const Node&, M&, const Reader&)> read,
                std::function<Node(const M&)> write, std::function<TypeInfo()> type) {
    read_ = std::move(read), write_ = std::move(write), type_ = std::move(type);
    return *this;
  }
  Field& layer_list() {
    type_ = [] { return TypeInfo::of(TypeInfo::Kind::layers); };
    return *this;
  }

  bool read(const Node& node, M& value, const Reader& outer) const {
    for (const Word& word : words_)
      if (node.is_word(word.text)) return value = word.meaning, true;
    const Reader reader = outer.with(rules_);
    return read_ ? read_(node, value, reader) : ValueTraits<M>::read(node, value, reader);
  }
  Node write(const M& value) const {
    for (const Word& word : words_)
      if (word.is(value)) return Node::make_scalar(word.text);
    return write_ ? write_(value) : ValueTraits<M>::write(value, rules_);
  }
  TypeInfo type() const {
    TypeInfo info = type_ ? type_() : ValueTraits<M>::type(rules_);
    if (words_.empty()) return info;
    std::vector<TypeInfo> parts = {std::move(info)};
    for (const Word& word : words_) parts.push_back(TypeInfo::word(word.text));
    return TypeInfo::one_of(std::move(parts));
  }
  /// The same field of a struct that is or derives from T.
  template <std::derived_from<T> U>
  FieldOf<U> of() const {
    return {key_,
            doc_,
            required_,
            [self = *this](const Node& node, U& object, const Reader& reader) {
              return self.read(node, object.*self.member_, reader);
            },
            [self = *this](const U& object) { return self.write(object.*self.member_); },
            [self = *this] { return self.type(); }};
  }

 private:
  struct Word {
    std::string text;
    M meaning;
    std::function<bool(const M&)> is;
  };

  M T::*member_;
  std::string key_, doc_;
  Rules rules_;
  bool required_ = false;
  std::vector<Word> words_;
  std::function<bool(const Node&, M&, const Reader&)> read_;
  std::function<Node(const M&)> write_;
  std::function<TypeInfo()> type_;
};

template <typename T, typename M>
Field<T, M> field(std::string key, M T::*member) {
  return Field<T, M>(std::move(key), member);
}

}  // namespace daybreak
