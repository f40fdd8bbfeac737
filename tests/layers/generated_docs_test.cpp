#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "config/builtin.h"
#include "config/json_schema.h"
#include "config/yaml_reader.h"
#include "layers/reference.h"
#include "layers/registry.h"

// docs/schema/*.json and docs/reference/*.md are made from the field tables. After a change of a
// table: DAYBREAK_UPDATE_DOCS=1 layers_test --gtest_filter='GeneratedDocs.*', then commit.

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void expect_file(const std::string& path, const std::string& text) {
  const fs::path file = fs::path(DAYBREAK_SOURCE_DIR) / path;
  if (std::getenv("DAYBREAK_UPDATE_DOCS")) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::ifstream in(file);
  ASSERT_TRUE(in) << path << " is missing; run with DAYBREAK_UPDATE_DOCS=1 and commit it";
  std::ostringstream found;
  found << in.rdbuf();
  // Not EXPECT_EQ: the texts are long.
  EXPECT_TRUE(found.str() == text)
      << path << " is not what the field tables say; run with DAYBREAK_UPDATE_DOCS=1 and commit it";
}

TEST(GeneratedDocs, SchemasAreCurrent) {
  expect_file("docs/schema/network.json", network_json_schema(layer_schema_entries()));
  expect_file("docs/schema/solver.json", solver_json_schema());
  expect_file("docs/schema/data.json", data_json_schema());
}

TEST(GeneratedDocs, ReferencesAreCurrent) {
  expect_file("docs/reference/layers.md", layers_markdown());
  expect_file("docs/reference/solver.md", "# Solver files\n\n" + solver_markdown());
}

TEST(GeneratedDocs, TheReferenceNamesEveryLayerAndOption) {
  const std::string text = layers_markdown();
  for (const LayerType& type : layer_types()) {
    EXPECT_NE(text.find("## " + type.name + "\n"), std::string::npos) << type.name;
    for (const FieldInfo& info : type.schema->fields()) {
      EXPECT_NE(text.find("| `" + info.key + "` |"), std::string::npos) << info.key;
    }
  }
}

Json to_json(const Node& node) {
  if (node.is_list()) {
    Json list = Json::array();
    for (const Node& item : node.items) list.push_back(to_json(item));
    return list;
  }
  if (node.is_map()) {
    Json map = Json::object();
    for (const NodeEntry& entry : node.entries) map[entry.key] = to_json(entry.value);
    return map;
  }
  const Json value = node.quoted ? Json(node.text) : Json::parse(node.text, nullptr, false);
  return value.is_discarded() ? Json(node.text) : value;
}

Json document(const std::string& text) {
  Diagnostics diagnostics;
  const Node node = read_yaml(text, "f.yaml", diagnostics);
  diagnostics.throw_if_any();
  return to_json(node);
}

// An editor with the schema accepts what we ship, and refuses what the loader refuses.
TEST(GeneratedDocs, TheNetworkSchemaJudgesAsTheLoader) {
  if (std::system("python3 -c 'import jsonschema' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3-jsonschema is not installed";
  }
  Json cases = Json::array();
  const auto add = [&cases](const std::string& name, const std::string& text, bool good) {
    cases.push_back(
        {{"schema", "network"}, {"name", name}, {"document", document(text)}, {"good", good}});
  };
  for (const BuiltinFile& file : builtin_files()) {
    if (file.path.starts_with("cfg/net/"))
      add(std::string(file.path), std::string(file.text), true);
  }
  const std::string head = "input: {channels: 3}\nlayers:\n";
  for (const char* layer :
       {"conv: {filters: auto, groups: depthwise, pad: [1, 2], init: {normal: 0.1}}", "relu",
        "leaky: 0.2", "maxpool: 3", "pad: {size: [1, 2, 3, 4], mode: reflect}", "softmax_loss",
        "conv: {filters: 3, norm: {batch: {scale_init: uniform}}, act: none, bias: auto}",
        "residual: {body: [relu, {conv: {filters: 3}}]}", "reshape: {c: auto}"}) {
    add(layer, head + "  - " + layer + "\n", true);
  }
  for (const char* layer :
       {"conv: {}", "conv: {filters: 0}", "conv: {filters: 3, sise: 3}", "covn: {filters: 3}",
        "conv: {filters: 3, act: rleu}", "conv: {filters: 3, norm: {batch: {momentum: 2}}}",
        "residual: {body: [rleu]}", "dropout: 1", "relu: {slope: 1}", "upsample: {mode: cubic}"}) {
    add(layer, head + "  - " + layer + "\n", false);
  }
  std::string pattern = fs::temp_directory_path() / "daybreak-layers-XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  std::ofstream(folder / "solver.json") << solver_json_schema();
  std::ofstream(folder / "data.json") << data_json_schema();
  std::ofstream(folder / "network.json") << network_json_schema(layer_schema_entries());
  std::ofstream(folder / "cases.json") << cases.dump();
  const std::string command =
      "python3 " DAYBREAK_SOURCE_DIR "/tests/config/validate_schema.py " + folder.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace daybreak
