#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"
#include "config/node.h"

// What a field table says about its fields, without their C++ types: for messages, documents, the
// JSON schema. Users include config/schema.h.

namespace daybreak {

class SchemaBase;

/// What values a field accepts, as far as numbers and counts go.
struct Rules {
  double lo = -std::numeric_limits<double>::infinity();
  double hi = std::numeric_limits<double>::infinity();
  bool lo_open = false, hi_open = false;  ///< the limit itself is not allowed
  std::size_t min_items = 0;              ///< of a list
  std::size_t max_items = std::numeric_limits<std::size_t>::max();
  bool single = false;     ///< one value stands for a list of it, or for both of a pair
  bool empty_text = true;  ///< a string may be empty

  bool bounded() const;
  bool allows(double value) const;
  /// "in 1..31", "above 0", "in 0..1 without 1", "at least 1"; empty when there is no limit.
  std::string range_text() const;
};

/// Value of an enum with its name in YAML; found by `enum_names(E)`.
template <typename E>
struct EnumName {
  E value;
  std::string_view name;
  std::string_view doc = {};
};

struct NameDoc {
  std::string name;
  std::string doc;
};

/// A type as users see it.
struct TypeInfo {
  enum class Kind : std::uint8_t {
    any,  ///< checked elsewhere
    boolean,
    integer,
    number,
    text,
    names,   ///< one of `names`
    list,    ///< of parts[0]
    pair,    ///< two of parts[0]
    map,     ///< keys of `schema`
    tagged,  ///< a map with one key, names[i], whose value is parts[i]; or names[i] alone
    one_of,  ///< any of `parts`
    layers,  ///< a list of layers
  };
  Kind kind = Kind::any;
  Rules rules;
  std::vector<NameDoc> names;
  std::vector<bool> bare;  ///< tagged: may names[i] stand alone?
  std::vector<TypeInfo> parts;
  const SchemaBase* schema = nullptr;
  /// map: its fields, when their defaults are not those of the schema.
  std::function<std::vector<struct FieldInfo>()> own_fields;
  std::string pattern;  ///< text: ECMA regular expression, for editors
  std::string words;    ///< how to say it, when the kind does not

  /// "whole number in 1..31", "list of numbers", "one of sgd, adam".
  std::string to_string() const;
  /// The fields of a map.
  std::vector<struct FieldInfo> fields() const;
  static TypeInfo of(Kind kind, Rules rules = {});
  static TypeInfo one_of(std::vector<TypeInfo> parts);
  static TypeInfo word(std::string name);
};

/// A field of a table, as users see it.
struct FieldInfo {
  std::string key;
  std::string doc;
  TypeInfo type;
  std::string default_text;  ///< YAML of the default; empty: none is shown
  bool required = false;
};

/// A field table without its C++ type.
class SchemaBase {
 public:
  SchemaBase() = default;
  SchemaBase(const SchemaBase&) = delete;
  SchemaBase& operator=(const SchemaBase&) = delete;
  virtual ~SchemaBase() = default;
  virtual std::vector<FieldInfo> fields() const = 0;
  virtual std::vector<std::string> keys() const = 0;
  /// The key that a value written without a map belongs to ("flip: 0.5"); empty: none.
  virtual const std::string& short_key() const = 0;
};

/// Whom messages are about: {"layer \"p1\"", "(type: pool)"}; empty for the file itself.
struct Owner {
  std::string name;
  std::string note;
};

/// Where a value is read: its path for messages, the rules of its field, where errors go.
class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics, Owner owner = {}, std::string path = "");
  Reader at(std::string_view key) const;
  Reader at(std::size_t index) const;
  Reader with(const Rules& rules) const;

  const Rules& rules() const { return rules_; }
  const Owner& owner() const { return owner_; }
  const std::string& path() const { return path_; }
  Diagnostics& diagnostics() const { return *diagnostics_; }

  /// Reports `"PATH" of OWNER TEXT`. Returns false, for `return reader.error(...)`.
  bool error(const Mark& mark, const std::string& text, std::vector<std::string> notes = {}) const;
  /// Reports "must be EXPECTED, found NODE".
  bool wrong(const Node& node, const std::string& expected,
             std::vector<std::string> notes = {}) const;
  /// `"PATH" of OWNER`, or the owner, or "the file".
  std::string subject() const;

 private:
  Diagnostics* diagnostics_;
  Owner owner_;
  std::string path_;
  Rules rules_;
};

/// Reads what `node` holds under every key of `schema`: reports unknown keys with the nearest valid
/// one and missing `required` keys; calls `read_field(index, value)` for each that is there.
/// Returns whether all was well.
bool read_map(const Node& node, const std::vector<std::string>& keys,
              const std::vector<bool>& required, const SchemaBase& schema, const Reader& reader,
              const std::function<bool(std::size_t, const Node&)>& read_field);

/// `, did you mean "size"?` or ` (valid: a, b, c)`.
std::string hint(std::string_view word, const std::vector<std::string>& known);
}  // namespace daybreak
