// The JSON header. nlohmann-json keeps the last of duplicate keys and turns integers above 2^64
// into doubles when it builds a document, so the header is read through its SAX interface.

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "core/text.h"
#include "io/limits.h"
#include "io/safetensors.h"

namespace daybreak::detail {
namespace {

struct TypeName {
  const char* name;
  TensorType type;
};
constexpr TypeName kTypeNames[] = {
    {"BOOL", TensorType::boolean}, {"U8", TensorType::u8},   {"I8", TensorType::i8},
    {"I16", TensorType::i16},      {"U16", TensorType::u16}, {"F16", TensorType::f16},
    {"BF16", TensorType::bf16},    {"I32", TensorType::i32}, {"U32", TensorType::u32},
    {"F32", TensorType::f32},      {"I64", TensorType::i64}, {"U64", TensorType::u64},
    {"F64", TensorType::f64}};

/// A forward iterator that shows its owner how far the parser has come.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    if (furthest_ != nullptr) *furthest_ = at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

/// Accepts exactly {"__metadata__": {string: string}, name: {dtype, shape, data_offsets}}.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;
  std::string problem;  ///< set when an event was refused

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is not a whole number below 2^64");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::shape) {
      if (value > static_cast<std::uint64_t>(INT64_MAX)) return fail("a dimension is too large");
      if (tensor().dims.size() == kMaxSafetensorsRank) {
        return fail(fmt::format("tensor {} has more than {} dimensions", quote(tensor().name),
                                kMaxSafetensorsRank));
      }
      tensor().dims.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (state_ != State::offsets) return unexpected("a number");
    if (offsets_seen_ == 2) return fail("\"data_offsets\" has more than two numbers");
    (offsets_seen_++ == 0 ? tensor().begin : tensor().end) = value;
    return true;
  }

  bool string(string_t& text) override {
    if (state_ == State::metadata_value) {
      header.metadata.back().second = std::move(text);
      state_ = State::metadata;
      return true;
    }
    if (state_ != State::dtype) return unexpected("a string");
    for (const TypeName& entry : kTypeNames) {
      if (text != entry.name) continue;
      tensor().type = entry.type;
      state_ = State::tensor;
      return true;
    }
    return fail(
        fmt::format("type {} of tensor {} is not known (expected BOOL, U8, I8, I16, U16, "
                    "F16, BF16, I32, U32, F32, I64, U64 or F64)",
                    quote(text), quote(tensor().name)));
  }

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::start:
        state_ = State::root;
        return true;
      case State::metadata_start:
        state_ = State::metadata;
        return true;
      case State::tensor_start:
        state_ = State::tensor;
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool end_object() override {
    if (state_ == State::tensor) {
      for (int field = 0; field < 3; ++field) {
        if (!field_seen_[field]) {
          return fail(fmt::format("tensor {} has no \"{}\"", quote(tensor().name), kFields[field]));
        }
      }
    }
    state_ = state_ == State::root ? State::end : State::root;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::shape_start) {
      state_ = State::shape;
    } else if (state_ == State::offsets_start) {
      state_ = State::offsets;
    } else {
      return unexpected("a list");
    }
    return true;
  }

  bool end_array() override {
    if (state_ == State::offsets && offsets_seen_ != 2) {
      return fail(fmt::format("\"data_offsets\" of tensor {} needs two numbers, found {}",
                              quote(tensor().name), offsets_seen_));
    }
    state_ = State::tensor;
    return true;
  }

  bool key(string_t& name) override {
    if (name.size() > kMaxSafetensorsNameBytes) {
      return fail(fmt::format("a name has {} bytes, at most {} are accepted", name.size(),
                              kMaxSafetensorsNameBytes));
    }
    switch (state_) {
      case State::root:
        return root_key(name);
      case State::metadata:
        if (!metadata_names_.insert(name).second) return duplicate(name);
        header.metadata.emplace_back(std::move(name), "");
        state_ = State::metadata_value;
        return true;
      default:
        return field_key(name);
    }
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while ...":
    // the line and column are replaced by our byte offset.
    const std::string_view text = error.what();
    const std::size_t colon = text.find(": ");
    const std::string_view reason = colon == text.npos ? text : text.substr(colon + 2);
    return fail("the header is not valid JSON: " + std::string(reason));
  }

 private:
  enum class State : std::uint8_t {
    start,
    root,
    metadata_start,
    metadata,
    metadata_value,
    tensor_start,
    tensor,
    dtype,
    shape_start,
    shape,
    offsets_start,
    offsets,
    end
  };
  static constexpr const char* kFields[3] = {"dtype", "shape", "data_offsets"};
  static constexpr State kFieldStates[3] = {State::dtype, State::shape_start, State::offsets_start};

  TensorInfo& tensor() { return header.tensors.back(); }

  bool fail(std::string text) {
    problem = std::move(text);
    return false;
  }
  bool duplicate(const std::string& name) {
    return fail(fmt::format("the header has {} twice", quote(name)));
  }
  bool unexpected(const char* what) {
    switch (state_) {
      case State::start:
        return fail(fmt::format("the header is {}, expected an object", what));
      case State::metadata_value:
        return fail(fmt::format("metadata {} is {}, expected a string",
                                quote(header.metadata.back().first), what));
      case State::metadata_start:
        return fail(fmt::format("\"__metadata__\" is {}, expected an object", what));
      case State::tensor_start:
        return fail(fmt::format("entry {} is {}, expected an object", quote(tensor().name), what));
      default:
        break;
    }
    const char* expected = state_ == State::dtype ? "a string in \"dtype\""
                           : state_ == State::shape_start || state_ == State::shape
                               ? "a list of whole numbers in \"shape\""
                               : "two whole numbers in \"data_offsets\"";
    return fail(fmt::format("tensor {} has {}, expected {}", quote(tensor().name), what, expected));
  }

  bool root_key(string_t& name) {
    if (!root_names_.insert(name).second) return duplicate(name);
    if (name == "__metadata__") {
      state_ = State::metadata_start;
      return true;
    }
    if (header.tensors.size() == kMaxSafetensorsTensors) {
      return fail(fmt::format("the header has more than {} tensors", kMaxSafetensorsTensors));
    }
    header.tensors.emplace_back().name = std::move(name);
    field_seen_[0] = field_seen_[1] = field_seen_[2] = false;
    offsets_seen_ = 0;
    state_ = State::tensor_start;
    return true;
  }

  bool field_key(const string_t& name) {
    for (int field = 0; field < 3; ++field) {
      if (name != kFields[field]) continue;
      if (field_seen_[field]) {
        return fail(fmt::format("tensor {} has {} twice", quote(tensor().name), quote(name)));
      }
      field_seen_[field] = true;
      state_ = kFieldStates[field];
      return true;
    }
    return fail(
        fmt::format("tensor {} has the unknown key {} (expected \"dtype\", \"shape\" and "
                    "\"data_offsets\")",
                    quote(tensor().name), quote(name)));
  }

  State state_ = State::start;
  int offsets_seen_ = 0;
  bool field_seen_[3] = {false, false, false};
  std::unordered_set<std::string> root_names_, metadata_names_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& path,
                                           std::uint64_t offset) {
  if (text.empty() || text[0] != '{')
    throw DataError(path, offset, "the header does not start with \"{\"");
  // The JSON lexer takes a NUL byte for the end of its input and would not see what follows.
  const std::size_t nul = text.find('\0');
  if (nul != text.npos) throw DataError(path, offset + nul, "the header contains a NUL byte");
  const char* furthest = text.data();
  HeaderReader reader;
  const bool accepted =
      nlohmann::json::sax_parse(CountingIterator(text.data(), &furthest),
                                CountingIterator(text.data() + text.size(), nullptr), &reader);
  if (!accepted) {
    const auto consumed = static_cast<std::uint64_t>(furthest - text.data());
    throw DataError(path, offset + (consumed > 0 ? consumed - 1 : 0), reader.problem);
  }
  return std::move(reader.header);
}

std::optional<std::size_t> find_digest(std::string_view header, std::string_view digits) {
  // Quotes inside JSON strings are escaped, so this text can only be a key with its value.
  const std::string prefix = "\"digest\":\"";
  const std::string pattern = prefix + std::string(digits) + '"';
  const std::size_t at = header.find(pattern);
  if (at == header.npos || header.find(pattern, at + 1) != header.npos) return std::nullopt;
  return at + prefix.size();
}

}  // namespace daybreak::detail

namespace daybreak {

const char* to_string(TensorType type) {
  for (const auto& entry : detail::kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "?";
}

std::size_t element_size(TensorType type) {
  switch (type) {
    case TensorType::boolean:
    case TensorType::u8:
    case TensorType::i8:
      return 1;
    case TensorType::i16:
    case TensorType::u16:
    case TensorType::f16:
    case TensorType::bf16:
      return 2;
    case TensorType::i32:
    case TensorType::u32:
    case TensorType::f32:
      return 4;
    case TensorType::i64:
    case TensorType::u64:
    case TensorType::f64:
      return 8;
  }
  return 1;
}

}  // namespace daybreak
