#include "config/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/builtin.h"
#include "config/schema.h"
#include "config/solver_config.h"
#include "config/yaml_reader.h"

namespace daybreak {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

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
  if (node.is_null()) return nullptr;
  const Json value = node.quoted ? Json(node.text) : Json::parse(node.text, nullptr, false);
  return value.is_discarded() ? Json(node.text) : value;
}

Json read(const std::string& text) {
  Diagnostics diagnostics;
  const Node node = read_yaml(text, "f.yaml", diagnostics);
  diagnostics.throw_if_any();
  return to_json(node);
}

TEST(JsonSchema, DescribesTheSolver) {
  const Json schema = Json::parse(solver_json_schema());
  EXPECT_EQ(schema["$schema"], "http://json-schema.org/draft-07/schema#");
  EXPECT_EQ(schema["additionalProperties"], false);
  const Json& batch = schema["properties"]["batch"];
  EXPECT_EQ(batch["type"], "integer");
  EXPECT_EQ(batch["minimum"], 1);
  EXPECT_EQ(batch["default"], 128);
  EXPECT_EQ(batch["description"], "pictures per step");
  EXPECT_THAT(schema["properties"]["precision"]["enum"],
              ::testing::ElementsAre("f32", "bf16", "f16", "auto"));
  const Json& tail = schema["properties"]["one_cycle"]["properties"]["tail"];
  EXPECT_EQ(tail["exclusiveMaximum"], 1);
}

struct Dense {
  int outputs = 1;
  Node body;
};
struct Drop {
  double p = 0.5;
};

std::string small_network_schema() {
  static const Schema<Dense> kDense{field("outputs", &Dense::outputs).in(1, 100).required(),
                                    field("body", &Dense::body).layer_list()};
  static const Schema<Drop> kDrop{short_key("p"), field("p", &Drop::p).at_least(0).below(1)};
  const LayerSchemaEntry kLayers[] = {{"dense", "fully connected", &kDense},
                                      {"drop", "dropout", &kDrop}};
  return network_json_schema(kLayers);
}

TEST(JsonSchema, DescribesNetworks) {
  const Json schema = Json::parse(small_network_schema());
  const Json& layer = schema["definitions"]["layers"]["items"]["anyOf"];
  EXPECT_THAT(layer[0]["enum"], ::testing::ElementsAre("drop"));
  EXPECT_EQ(layer[1]["properties"]["dense"]["properties"]["body"]["allOf"][0]["$ref"],
            "#/definitions/layers");
  EXPECT_TRUE(layer[1]["properties"].contains("repeat"));
  EXPECT_FALSE(schema["properties"]["defaults"]["properties"]["dense"].contains("required"));
}

TEST(JsonSchema, ReferenceListsEveryKey) {
  const std::string text = solver_markdown();
  for (const char* line :
       {"| `batch` | whole number in 1..1048576 | `128` | pictures per step |",
        "### solver.one_cycle", "### solver.augment.pad_crop",
        "| `decay` | one of l2, decoupled | `decoupled` | how weight decay works |",
        "| `dir` | text | required |"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

/// Validates with python3-jsonschema: the schemas themselves, good documents and bad ones.
TEST(JsonSchema, JudgesAsThePeerImplementation) {
  if (std::system("python3 -c 'import jsonschema' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3-jsonschema is not installed";
  }
  const char* kRest = "\nnet: x.yaml\ndata: {sources: [synthetic]}\n";
  Json cases = Json::array();
  const auto add = [&cases](const char* schema, const std::string& name, const Json& document,
                            bool good) {
    cases.push_back({{"schema", schema}, {"name", name}, {"document", document}, {"good", good}});
  };
  for (const BuiltinFile& file : builtin_files()) {
    const std::string path(file.path);
    const bool solver = path.starts_with("cfg/solver/"), data = path.starts_with("data/");
    if (!solver && !data) continue;
    add(solver ? "solver" : "data", path, read(std::string(file.text)), true);
    if (!solver) continue;
    Json printed = read(print_config(load_solver("builtin:" + path)));
    add("solver", path + " printed", printed, true);
    printed["batsch"] = 3;
    add("solver", path + " with an unknown key", printed, false);
  }
  const char* kGood[] = {"one_cycle: {length: 30e, lr: 1, momentum: 0.9}",
                         "policy: {step: {length: 1e, lr: 0.1, every: 3}}",
                         "phases: [{until: 1e, lr: [1, 0.5], augment: [flip], optimizer: "
                         "sgd}]\naugment: [{flip: 0.5}, flip, {flip: {p: 1}}]",
                         "lr: 0.1\nlength: 1.5e\nevaluate: 2e\ncheckpoint: {keep: 2}\nname: 12"};
  const char* kBad[] = {"one_cycle: {length: 30, lr: 1}",
                        "one_cycle: {lr: 1}",
                        "batch: 0",
                        "batch: many",
                        "batch: 1.5",
                        "precision: fp32",
                        "optimizer: {sgd: {}, adam: {}}",
                        "optimizer: {sgd: {nestrov: true}}",
                        "optimizer: adamm",
                        "policy: step",
                        "augment: [{flip: 2}]",
                        "device: gpu",
                        "augment: flip",
                        "phases: [{until: 1e, lr: [1, 2, 3]}]",
                        "phases: []\nbatch: []",
                        "checkpoint: {keep: 0}"};
  for (const char* text : kGood) add("solver", text, read(text + std::string(kRest)), true);
  for (const char* text : kBad) add("solver", text, read(text + std::string(kRest)), false);
  add("network", "good",
      read("input: {}\nlayers: [drop, {drop: 0.3}, {dense: {outputs: 3, name: a, from: [x], body: "
           "[drop]}}]"),
      true);
  add("network", "repeat", read("input: {}\nlayers: [repeat: {count: 2, layers: [drop]}]"), true);
  add("network", "measured", read("input: {mean: measure, std: measure}\nlayers: [drop]"), true);
  add("network", "unknown layer", read("input: {}\nlayers: [dorp]"), false);
  add("network", "bare name with required keys", read("input: {}\nlayers: [dense]"), false);
  add("network", "nested", read("input: {}\nlayers: [{dense: {outputs: 3, body: [dorp]}}]"), false);
  add("network", "two keys", read("input: {}\nlayers: [{drop: 0.1, dense: {outputs: 3}}]"), false);
  add("network", "range", read("input: {}\nlayers: [{drop: 1}]"), false);
  add("network", "defaults", read("input: {}\ndefaults: {dense: {output: 3}}\nlayers: [drop]"),
      false);

  std::string pattern = std::filesystem::temp_directory_path() / "daybreak-schema-XXXXXX";
  const std::filesystem::path folder = mkdtemp(pattern.data());
  std::ofstream(folder / "solver.json") << solver_json_schema();
  std::ofstream(folder / "data.json") << data_json_schema();
  std::ofstream(folder / "network.json") << small_network_schema();
  std::ofstream(folder / "cases.json") << cases.dump();
  const std::string command =
      "python3 " DAYBREAK_SOURCE_DIR "/tests/config/validate_schema.py " + folder.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace daybreak
