#include "config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/union.h"
#include "config/yaml_writer.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class PoolMode : std::uint8_t { max, average };
std::span<const EnumName<PoolMode>> enum_names(PoolMode) {
  static constexpr EnumName<PoolMode> kNames[] = {{PoolMode::max, "max", "largest"},
                                                  {PoolMode::average, "avg", "mean"}};
  return kNames;
}

struct Inner {
  double momentum = 0.1;
};
const Schema<Inner>& config_schema(Type<Inner>) {
  static const Schema<Inner> kSchema{field("momentum", &Inner::momentum).above(0).below(1)};
  return kSchema;
}

struct Leaky {
  double slope = 0.1;
};
struct Relu {};
using Act = std::variant<Relu, Leaky>;
const Union<Act>& config_union(Type<Act>) {
  static const Schema<Relu> kRelu;
  static const Schema<Leaky> kLeaky{field("slope", &Leaky::slope).at_least(0), short_key("slope")};
  static const Union<Act> kUnion{alternative<Act>("relu", kRelu),
                                 alternative<Act>("leaky", kLeaky)};
  return kUnion;
}

struct Options {
  bool flag = false;
  int count = 3;
  std::int64_t big = 0;
  std::uint64_t seed = 1;
  double rate = 0.5;
  float slope = 0.25f;
  std::string label = "x";
  PoolMode mode = PoolMode::max;
  std::vector<int> sizes = {5, 9, 13};
  std::array<int, 2> window = {3, 3};
  std::optional<bool> bias;
  Inner inner;
  std::vector<Inner> list;
  Act act = Relu{};
  int workers = -1;
};

const Schema<Options> kSchema{
    field("flag", &Options::flag),
    field("count", &Options::count).in(1, 31).doc("how many"),
    field("big", &Options::big),
    field("seed", &Options::seed),
    field("rate", &Options::rate).in(0, 1),
    field("slope", &Options::slope),
    field("label", &Options::label).not_empty(),
    field("mode", &Options::mode),
    field("sizes", &Options::sizes).each_in(1, 31).items(1, 4),
    field("window", &Options::window).one_or_both().in(1, 99),
    field("bias", &Options::bias).or_word("auto", std::nullopt),
    field("inner", &Options::inner),
    field("list", &Options::list),
    field("act", &Options::act),
    field("workers", &Options::workers).in(0, 64).or_word("auto", -1),
    check<Options>([](const Options& o, const Node& node, const Reader& reader) {
      if (o.count > o.window[0] + 10) reader.at("count").error(node.mark, "is too large");
    })};

Node scalar(std::string text) {
  return Node::make_scalar(std::move(text), {"f.yaml", 1, 1});
}

std::vector<std::string> errors_of(const Node& node) {
  Diagnostics diagnostics;
  kSchema.parse(node, diagnostics);
  std::vector<std::string> texts;
  for (const Diagnostic& d : diagnostics.sorted()) texts.push_back(d.text);
  return texts;
}

Node with(std::string key, Node value) {
  Node map = Node::make_map({"f.yaml", 1, 1});
  map.set(key, std::move(value));
  return map;
}

TEST(Schema, DefaultsAreThoseOfTheStruct) {
  Diagnostics diagnostics;
  const Options o = kSchema.parse(Node::make_map(), diagnostics);
  EXPECT_TRUE(diagnostics.empty());
  EXPECT_EQ(o.count, 3);
  EXPECT_THAT(o.sizes, ElementsAre(5, 9, 13));
  EXPECT_FALSE(o.bias.has_value());
}

TEST(Schema, WritesEveryFieldAndReadsItBack) {
  Options o;
  o.window = {3, 5};
  o.bias = false;
  o.act = Leaky{0.2};
  o.list = {{0.5}};
  const Node node = kSchema.write(o);
  EXPECT_EQ(to_yaml_flow(node),
            "{flag: false, count: 3, big: 0, seed: 1, rate: 0.5, slope: 0.25, label: x, mode: max, "
            "sizes: [5, 9, 13], window: [3, 5], bias: false, inner: {momentum: 0.1}, "
            "list: [{momentum: 0.5}], act: {leaky: {slope: 0.2}}, workers: auto}");
  Diagnostics diagnostics;
  const Options again = kSchema.parse(node, diagnostics);
  EXPECT_TRUE(diagnostics.empty());
  EXPECT_TRUE(same_content(kSchema.write(again), node));
}

TEST(Schema, UnionsTakeNamesMapsAndShortForms) {
  Diagnostics diagnostics;
  EXPECT_TRUE(
      std::holds_alternative<Leaky>(kSchema.parse(with("act", scalar("leaky")), diagnostics).act));
  const Options o = kSchema.parse(with("act", with("leaky", scalar("0.3"))), diagnostics);
  EXPECT_EQ(std::get<Leaky>(o.act).slope, 0.3);
  EXPECT_TRUE(diagnostics.empty());
  EXPECT_THAT(
      errors_of(with("act", scalar("leeky"))),
      ElementsAre("\"act\" must be one of relu, leaky, found \"leeky\", did you mean \"leaky\"?"));
}

TEST(Schema, ReportsEverythingThatIsWrong) {
  Node map = Node::make_map({"f.yaml", 1, 1});
  map.set("coumt", scalar("3"));
  map.set("flag", scalar("yes"));
  map.set("count", scalar("32"));
  map.set("rate", scalar("1.5"));
  map.set("label", scalar(""));
  map.set("inner", with("momentum", scalar("1")));
  EXPECT_THAT(errors_of(map),
              ElementsAre("unknown key \"coumt\", did you mean \"count\"?",
                          "\"flag\" must be true or false, found \"yes\"",
                          "\"count\" must be in 1..31, found 32",
                          "\"rate\" must be in 0..1, found 1.5", "\"label\" must not be empty",
                          "\"inner.momentum\" must be above 0 and below 1, found 1"));
}

TEST(Schema, ChecksBetweenFieldsRunWhenFieldsAreGood) {
  EXPECT_THAT(errors_of(with("count", scalar("20"))), ElementsAre("\"count\" is too large"));
}

TEST(Schema, FieldsDescribeThemselves) {
  for (const FieldInfo& info : kSchema.fields()) {
    if (info.key == "count") {
      EXPECT_EQ(info.type.to_string(), "whole number in 1..31");
      EXPECT_EQ(info.default_text, "3");
      EXPECT_EQ(info.doc, "how many");
    }
    if (info.key == "window") {
      EXPECT_EQ(info.type.to_string(), "whole number in 1..99 or pair of whole number in 1..99");
      EXPECT_EQ(info.default_text, "3");
    }
  }
}

}  // namespace
}  // namespace daybreak
