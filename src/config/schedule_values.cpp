#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "config/spec_schemas.h"

namespace daybreak {
namespace {

constexpr double kLongest = 1e9;  // epochs or steps

}  // namespace

bool ValueTraits<Length>::read(const Node& node, Length& length, const Reader& reader) {
  const std::string expected = "a length in epochs or steps such as 30e or 800s";
  if (!node.is_scalar() || node.text.size() < 2) return reader.wrong(node, expected);
  const char unit = node.text.back();
  Node number = node;
  number.text.pop_back();
  number.quoted = false;
  if (unit != 'e' && unit != 's') {
    std::vector<std::string> notes;
    double amount = 0;
    const char* end = node.text.data() + node.text.size();
    if (const auto [stop, code] = std::from_chars(node.text.data(), end, amount);
        stop == end && code == std::errc())
      notes.push_back(fmt::format("write {0}e for epochs, {0}s for steps", node.text));
    return reader.wrong(node, expected, std::move(notes));
  }
  const char first = number.text.front();
  if ((first < '0' || first > '9') && first != '.') return reader.wrong(node, expected);
  double amount = 0;
  Diagnostics details;
  if (!read_number(number, amount, kLongest, Reader(details))) {
    return reader.wrong(node, expected, details.sorted().front().notes);
  }
  if (amount <= 0)
    return reader.error(node.mark, fmt::format("must be longer than 0, found {}", node.text));
  length = {amount, unit == 'e' ? LengthUnit::epochs : LengthUnit::steps};
  return true;
}

Node ValueTraits<Length>::write(const Length& length, const Rules&) {
  return Node::make_scalar(length_text(length));
}

TypeInfo ValueTraits<Length>::type(const Rules&) {
  TypeInfo info = TypeInfo::of(TypeInfo::Kind::text);
  info.pattern = "^[0-9]*\\.?[0-9]+([eE][-+]?[0-9]+)?[es]$";
  info.words = "length: 30e is epochs, 800s steps";
  return info;
}

bool ValueTraits<Ramp>::read(const Node& node, Ramp& ramp, const Reader& reader) {
  if (!node.is_list()) {
    double value = 0;
    if (!ValueTraits<double>::read(node, value, reader)) return false;
    ramp = {value, std::nullopt};
    return true;
  }
  std::array<double, 2> pair = {0, 0};
  if (!ValueTraits<std::array<double, 2>>::read(node, pair, reader)) return false;
  ramp = {pair[0], pair[1]};
  return true;
}

Node ValueTraits<Ramp>::write(const Ramp& ramp, const Rules& rules) {
  if (!ramp.end) return ValueTraits<double>::write(ramp.start, rules);
  return ValueTraits<std::array<double, 2>>::write({ramp.start, *ramp.end}, rules);
}

TypeInfo ValueTraits<Ramp>::type(const Rules& rules) {
  Rules single = rules;
  single.single = true;
  return ValueTraits<std::array<double, 2>>::type(single);
}

}  // namespace daybreak
