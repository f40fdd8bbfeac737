#include "config/yaml_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/yaml_writer.h"

namespace daybreak {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Node read_good(const std::string& text) {
  Diagnostics diagnostics;
  Node node = read_yaml(text, "f.yaml", diagnostics);
  EXPECT_TRUE(diagnostics.empty()) << diagnostics.sorted()[0].to_string();
  return node;
}

/// The first error, with its notes.
std::string error_of(const std::string& text) {
  Diagnostics diagnostics;
  read_yaml(text, "f.yaml", diagnostics);
  return diagnostics.empty() ? "no error" : diagnostics.sorted()[0].to_string();
}

TEST(YamlReader, BuildsTheTreeWithMarks) {
  const Node node = read_good("a: 1\nb: [x, \"2\"]\nc:\n  d: {e: f}\n");
  EXPECT_EQ(to_yaml_flow(node), "{a: 1, b: [x, \"2\"], c: {d: {e: f}}}");
  EXPECT_EQ(node.find("a")->mark.to_string(), "f.yaml:1:4");
  EXPECT_EQ(node.find_entry("c")->mark.to_string(), "f.yaml:3:1");
  const Node* e = node.find("c")->find("d")->find("e");
  EXPECT_EQ(e->mark.to_string(), "f.yaml:4:10");
  EXPECT_FALSE(node.find("b")->items[0].quoted);
  EXPECT_TRUE(node.find("b")->items[1].quoted);
}

TEST(YamlReader, CountsColumnsInCharacters) {
  const Node node = read_good("{é: 1, b: 2}");
  EXPECT_EQ(node.find_entry("b")->mark.column, 8);
  std::string text = "{a: \"";
  for (int i = 0; i < 3000; ++i) text += "\xC3\xA9y";
  const Node longer = read_good(text + "\", b: 2}");
  EXPECT_EQ(longer.find_entry("b")->mark.column, 5 + 6000 + 4);
}

TEST(YamlReader, AcceptsByteOrderMarkAndCrLf) {
  const Node node = read_good(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: 2\r\n");
  EXPECT_EQ(to_yaml_flow(node), "{a: 1, b: 2}");
  EXPECT_EQ(node.find("b")->mark.to_string(), "f.yaml:2:4");
}

TEST(YamlReader, NullsAndEmptyFiles) {
  EXPECT_TRUE(read_good("").is_null());
  EXPECT_TRUE(read_good("# nothing\n").is_null());
  const Node node = read_good("{a: , b: ~, c: null, d: \"null\", e: ''}");
  EXPECT_TRUE(node.find("a")->is_null());
  EXPECT_TRUE(node.find("b")->is_null());
  EXPECT_TRUE(node.find("c")->is_null());
  EXPECT_TRUE(node.find("d")->is_scalar());
  EXPECT_TRUE(node.find("e")->is_scalar());
}

TEST(YamlReader, ExpandsAliases) {
  const Node node = read_good("a: &x {k: [1, 2]}\nb: *x\n");
  EXPECT_EQ(to_yaml_flow(node), "{a: {k: [1, 2]}, b: {k: [1, 2]}}");
  EXPECT_EQ(node.find("b")->mark.line, 1) << "a value keeps the place where it was written";
}

struct BadText {
  std::string text, error;
};

TEST(YamlReader, RefusesWithAPlace) {
  const BadText kCases[] = {
      {"batch: 128\nseed: 1\nbatch: 256\n",
       "f.yaml:3:1: error: key \"batch\" given twice, first at 1:1 (\"128\"), again here "
       "(\"256\")"},
      {"a: 1\n---\nb: 2\n", "f.yaml:2:1: error: several documents in one file (a second \"---\")"},
      {"a: !!python/object:os.system x\n",
       "f.yaml:1:4: error: tag \"tag:yaml.org,2002:python/object:os.system\" is not accepted"},
      {"a: !custom {b: 1}\n", "f.yaml:1:4: error: tag \"!custom\" is not accepted"},
      {"x: &x {a: 1}\ny:\n  <<: *x\n",
       "f.yaml:3:3: error: merge key \"<<\" is not accepted\n"
       "    name a file to start from with _base_, or write the values out"},
      {"a:\n\tb: 1\n",
       "f.yaml:2:1: error: tab character: indent and separate with spaces (\"\\t\" in quotes is a "
       "tab)"},
      {std::string("a: \0b\n", 6),
       "f.yaml:1:4: error: NUL byte: this is not a text file, or it is UTF-16 (save it as UTF-8)"},
      {"a: caf\xE9\n", "f.yaml:1:7: error: byte 0xe9 is not valid UTF-8 (save the file as UTF-8)"},
      {"a: \xED\xA0\x80\n",
       "f.yaml:1:4: error: byte 0xed is not valid UTF-8 (save the file as UTF-8)"},
      {"a: \xC0\x80\n", "f.yaml:1:4: error: byte 0xc0 is not valid UTF-8 (save the file as UTF-8)"},
      {"a: 1\rb: 2\n", "f.yaml:1:5: error: carriage return without a line feed"},
      {"a: \x1b[31m\n", "f.yaml:1:4: error: control character 0x1b"},
      {"a: {b: 1\n", "f.yaml:2:1: error: not valid YAML: end of map flow not found"},
      {"{[1]: 2}\n", "f.yaml:1:2: error: a key must be text, found a list"},
      {"? {a: 1}\n: 2\n", "f.yaml:1:3: error: a key must be text, found a map"},
      {"~: 2\n", "f.yaml:1:1: error: a key must be text, found nothing (quote \"null\" and \"~\")"},
      {"a: &a [1, *a]\n", "f.yaml:1:11: error: alias of a value that contains it"},
      {"a: *nowhere\n", "f.yaml:1:4: error: not valid YAML: the referenced anchor is not defined"},
  };
  for (const BadText& bad : kCases) {
    EXPECT_THAT(error_of(bad.text), StartsWith(bad.error)) << bad.text;
  }
}

TEST(YamlReader, ReportsEveryDuplicate) {
  Diagnostics diagnostics;
  read_yaml("a: 1\na: 2\na: 3\nb: {c: 1, c: 2}\n", "f.yaml", diagnostics);
  EXPECT_EQ(diagnostics.size(), 3u);
}

TEST(YamlReader, StopsAtDeepNesting) {
  const std::string flow = std::string(65, '[') + std::string(65, ']');
  EXPECT_EQ(error_of(flow), "f.yaml:1:65: error: lists and maps nested deeper than 64 levels");
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')), "no error");
  EXPECT_THAT(error_of(std::string(200000, '[')), HasSubstr("error"));
  EXPECT_THAT(error_of(std::string(200000, '{')), HasSubstr("error"));
  std::string block;
  for (int i = 0; i < 200; ++i) block += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(error_of(block), HasSubstr("nested deeper than 64 levels"));
}

TEST(YamlReader, StopsAtAliasBombs) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}", i, i - 1);
    for (int k = 1; k < 10; ++k) bomb += fmt::format(", *a{}", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(error_of(bomb), HasSubstr("more than 100000 values"));
  std::string many = "a: &a 1\nb: [";
  for (int i = 0; i < 101; ++i) many += "*a, ";
  EXPECT_THAT(error_of(many + "]\n"), HasSubstr("more than 100 uses of anchors"));
  std::string chain = "a0: &a0 [1]\n";
  for (int i = 1; i < 70; ++i) chain += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  EXPECT_THAT(error_of(chain), HasSubstr("nested deeper than 64 levels"));
}

TEST(YamlReader, StopsAtHugeInput) {
  EXPECT_THAT(error_of("a: " + std::string(70000, 'x')),
              HasSubstr("text of 70000 bytes, at most 65536"));
  EXPECT_THAT(error_of(std::string((4 << 20) + 1, ' ')), HasSubstr("larger than"));
  std::string list = "[";
  for (int i = 0; i < 100001; ++i) list += "1,";
  EXPECT_THAT(error_of(list + "]"), HasSubstr("more than 100000 values"));
}

TEST(YamlReader, FilesThatCannotBeRead) {
  try {
    read_config_file("no/such/file.yaml");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "no/such/file.yaml: error: cannot be opened: No such file or directory");
  }
  EXPECT_THROW(read_config_file("."), ConfigError);
  EXPECT_THROW(read_config_file("builtin:nothing.yaml"), ConfigError);
}

TEST(YamlWriter, ReadsBackAsTheSame) {
  const char* kTexts[] = {
      "{a: 1, b: \"1\", c: \"yes\", d: \"\", e: \"a: b\", f: \"x # y\", g: \"\\\\ \\\" \\n\", h: "
      "[], i: {}}",
      "{\"a b\": {\"1\": [~, {x: \"~\"}]}, \"- x\": \"é\", n: \"null\", m: [[1, 2], [3]], t: "
      "\"\\x01\"}",
      "layers: [{conv: {name: a, filters: 32, size: [3, 3], act: {leaky: 0.1}}}, flatten]",
  };
  for (const char* text : kTexts) {
    const Node node = read_good(text);
    const std::string block = to_yaml(node);
    EXPECT_TRUE(same_content(read_good(block), node)) << block;
    EXPECT_TRUE(same_content(read_good(to_yaml_flow(node)), node)) << to_yaml_flow(node);
    EXPECT_EQ(to_yaml(read_good(block)), block);
  }
}

TEST(YamlWriter, LongLinesAreBroken) {
  Node list = Node::make_list();
  for (int i = 0; i < 30; ++i) {
    Node options = Node::make_map();
    options.set("name", Node::make_text("a-rather-long-layer-name-" + std::to_string(i)));
    options.set("filters", Node::make_scalar("64"));
    options.set("nested", list.items.empty() ? Node::make_map() : list.items[0]);
    Node item = Node::make_map();
    item.set("conv", options);
    list.items.push_back(item);
  }
  Node map = Node::make_map();
  map.set("layers", list);
  const std::string text = to_yaml(map);
  EXPECT_TRUE(same_content(read_good(text), map)) << text;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
}

}  // namespace
}  // namespace daybreak
