#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/field.h"

// Field tables: one per options struct; they parse, check, print and document it.
//
//   struct SppOptions { std::vector<int> sizes = {5, 9, 13}; };
//   const Schema<SppOptions> kSchema{
//       field("sizes", &SppOptions::sizes).each_in(1, 31).doc("max-pool window sizes")};
//
//   Diagnostics diagnostics;
//   SppOptions o = kSchema.parse(node, diagnostics, {"layer \"p1\"", "(type: spp)"});
//   diagnostics.throw_if_any();   // every error of every table: FILE:LINE:COLUMN: error: ...
//
// Keys that are not given keep the value of SppOptions{}. A field's type may be bool, a signed
// integer, uint64, float, double, std::string, Node (passed on unread), an enum with a table
//   std::span<const EnumName<PoolKind>> enum_names(PoolKind);          // {value, name, doc}
// a vector, std::array<T, 2> or optional of these, a struct with `config_schema(Type<T>)` (its
// table), a type with `config_union(Type<T>)` (see config/union.h), or anything that specialises
// ValueTraits. These functions stand in the type's namespace, before the first use.
//
//   field("size", &Pool::size).one_or_both().in(1, 1000)   // std::array<int, 2>: 3 or [3, 5]
//   field("slope", &Leaky::slope).above(0).at_most(1)
//   field("filters", &Conv::filters).in(1, 65536).required()
//   field("workers", &Data::workers).in(0, 64).or_word("auto", -1)   // a word for one value
//   field("bias", &Conv::bias).or_word("auto", std::nullopt)         // optional<bool>
//   field("from", &Sum::from).one_or_many().items(1, 8)              // vector: x or [x, y]
//   field("stages", &Net::stages).custom(read, write, type)          // functions of one's own
//   field("body", &Residual::body).layer_list()                      // Node: a list of layers
//   group("evaluate", kEvaluate)   // nested map whose fields lie in the same struct
//   short_key("p")                 // `dropout: 0.5` means `dropout: {p: 0.5}`
//   check<Pool>([](const Pool& p, const Node& node, const Reader& reader) {
//     if (p.pad >= p.size) reader.at("pad").error(node.mark, "must be smaller than the window");
//   })                             // between fields; runs only when every field was good

namespace daybreak {

struct ShortKey {
  std::string key;
};
inline ShortKey short_key(std::string key) {
  return {std::move(key)};
}

template <typename T, typename F>
CheckOf<T> check(F run) {
  return {std::move(run)};
}

/// The table of an options struct. Not copied: others point at it.
template <typename T>
class Schema : public SchemaBase {
 public:
  template <typename... Parts>
  explicit Schema(const Parts&... parts) {
    (add(parts), ...);
  }

  /// Reads a map; what is wrong goes to `diagnostics`, and those fields keep their defaults.
  T parse(const Node& node, Diagnostics& diagnostics, Owner owner = {}) const {
    T value{};
    read(node, value, Reader(diagnostics, std::move(owner)));
    return value;
  }
  /// The same, starting from what `value` holds. Returns whether all was well.
  bool read(const Node& node, T& value, const Reader& reader) const;
  /// A map with every field; optional fields without a value are left out.
  Node write(const T& value) const {
    Node map = Node::make_map();
    for (const FieldOf<T>& f : fields_) {
      Node node = f.write(value);
      if (!node.is_null()) map.entries.push_back({f.key, {}, std::move(node)});
    }
    return map;
  }

  std::vector<FieldInfo> fields() const override { return fields_from(T{}); }
  /// The same with defaults taken from `start`.
  std::vector<FieldInfo> fields_from(const T& start) const;
  std::vector<std::string> keys() const override { return keys_; }
  const std::string& short_key() const override { return short_key_; }

 private:
  template <typename U, typename M>
  void add(const Field<U, M>& f) {
    add(f.template of<T>());
  }
  void add(const FieldOf<T>& f) {
    fields_.push_back(f);
    keys_.push_back(f.key);
    required_.push_back(f.required);
  }
  void add(const ShortKey& key) { short_key_ = key.key; }
  void add(const CheckOf<T>& check) { checks_.push_back(check); }

  std::vector<FieldOf<T>> fields_;
  std::vector<CheckOf<T>> checks_;
  std::vector<std::string> keys_;
  std::vector<bool> required_;
  std::string short_key_;
};

}  // namespace daybreak

#include "config/schema_impl.h"
