#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/solver_config.h"
#include "config/yaml_writer.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

NetworkSpec network(const std::string& layers, const std::string& rest = "") {
  return load_network_text("input: {channels: 1}\n" + rest + "layers:\n" + layers, "n.yaml");
}

std::vector<std::string> names(const NetworkSpec& spec) {
  std::vector<std::string> result;
  for (const LayerNode& layer : spec.layers) result.push_back(layer.name);
  return result;
}

TEST(Network, NamesAndOptionsAreTakenApart) {
  const NetworkSpec spec = network(
      "  - conv: {name: stem, filters: 32, size: 3}\n"
      "  - conv: {filters: 8, from: stem}\n"
      "  - add: {from: [stem, conv1]}\n"
      "  - dropout: 0.5\n"
      "  - flatten\n");
  EXPECT_THAT(names(spec), ElementsAre("stem", "conv1", "add1", "dropout1", "flatten1"));
  EXPECT_EQ(to_yaml_flow(spec.layers[0].options), "{filters: 32, size: 3}");
  EXPECT_THAT(spec.layers[1].from, ElementsAre("stem"));
  EXPECT_THAT(spec.layers[2].from, ElementsAre("stem", "conv1"));
  EXPECT_EQ(spec.layers[3].options.text, "0.5");
  EXPECT_TRUE(spec.layers[4].options.is_map());
  EXPECT_EQ(spec.layers[1].mark.to_string(), "n.yaml:4:5");
  EXPECT_EQ(spec.name, "n");
}

TEST(Network, AutomaticNamesSkipTakenOnes) {
  EXPECT_THAT(names(network("  - conv: {}\n  - conv: {name: conv1}\n  - conv: {}\n")),
              ElementsAre("conv2", "conv1", "conv3"));
}

TEST(Network, DefaultsAreMergedBelowOptions) {
  const NetworkSpec spec = network(
      "  - conv: {filters: 8}\n"
      "  - conv: {filters: 4, act: relu, norm: {batch: {eps: 1e-3}}}\n"
      "  - conv: {filters: 2, norm: {instance: {}}}\n"
      "  - pool: {size: 2}\n",
      "defaults: {conv: {norm: {batch: {momentum: 0.01}}, act: {leaky: 0.1}}}\n");
  EXPECT_EQ(to_yaml_flow(spec.layers[0].options),
            "{norm: {batch: {momentum: 0.01}}, act: {leaky: 0.1}, filters: 8}");
  EXPECT_EQ(to_yaml_flow(spec.layers[1].options),
            "{norm: {batch: {momentum: 0.01, eps: 1e-3}}, act: relu, filters: 4}");
  EXPECT_EQ(to_yaml_flow(spec.layers[2].options),
            "{norm: {instance: {}}, act: {leaky: 0.1}, filters: 2}");
  EXPECT_EQ(to_yaml_flow(spec.layers[3].options), "{size: 2}");
  EXPECT_EQ(spec.layers[0].options.find("act")->mark.line, 2)
      << "values keep the place where they were written";
}

TEST(Network, RepeatsAreExpanded) {
  const NetworkSpec spec = network(
      "  - conv: {name: stem}\n"
      "  - repeat:\n"
      "      count: 2\n"
      "      name: block\n"
      "      layers:\n"
      "        - conv: {name: a}\n"
      "        - repeat: {count: 2, layers: [act: {from: a}]}\n"
      "        - add: {from: [a, stem]}\n"
      "  - linear: 10\n");
  EXPECT_THAT(names(spec),
              ElementsAre("stem", "block.1.a", "block.1.repeat1.1.act1", "block.1.repeat1.2.act1",
                          "block.1.add1", "block.2.a", "block.2.repeat1.1.act1",
                          "block.2.repeat1.2.act1", "block.2.add1", "linear1"));
  EXPECT_THAT(spec.layers[2].from, ElementsAre("block.1.a"));
  EXPECT_THAT(spec.layers[4].from, ElementsAre("block.1.a", "stem"));
  EXPECT_THAT(spec.layers[8].from, ElementsAre("block.2.a", "stem"));
}

TEST(Network, NestedListsTakeAPrefix) {
  const NetworkSpec spec =
      network("  - residual: {body: [conv: {name: a}, conv: {from: a}, add: {from: outer}]}\n");
  Diagnostics diagnostics;
  const std::vector<LayerNode> body = parse_layers(*spec.layers[0].options.find("body"),
                                                   spec.defaults, diagnostics, spec.layers[0].name);
  EXPECT_TRUE(diagnostics.empty());
  ASSERT_EQ(body.size(), 3u);
  EXPECT_EQ(body[0].name, "residual1.a");
  EXPECT_EQ(body[1].name, "residual1.conv1");
  EXPECT_THAT(body[1].from, ElementsAre("residual1.a"));
  EXPECT_THAT(body[2].from, ElementsAre("outer"));
}

TEST(Network, InputKeys) {
  const NetworkSpec spec = load_network_text(
      "name: net\nlayers: [flatten]\n"
      "input: {channels: 3, height: 227, width: 128, mean: [104, 117, 123], std: [1, 1, 1], scale: "
      "1, order: bgr, "
      "fit: letterbox}\n",
      "n.yaml");
  EXPECT_THAT(spec.input.mean, ElementsAre(104, 117, 123));
  EXPECT_EQ(spec.input.order, ChannelOrder::bgr);
  EXPECT_EQ(spec.input.fit, Fit::letterbox);
  EXPECT_EQ(spec.input.mark.to_string(), "n.yaml:3:8");
  EXPECT_TRUE(network("  - flatten\n").input.mean.empty());
}

TEST(Network, BaseFilesAndOverrides) {
  const NetworkSpec spec =
      load_network_text("input: {}\nlayers: [conv: {filters: 8}, linear: {outputs: 10}]\n",
                        "n.yaml", {"layers[1].linear.outputs=7", "input.channels=1"});
  EXPECT_EQ(spec.layers[1].options.find("outputs")->text, "7");
  EXPECT_EQ(spec.layers[1].options.find("outputs")->mark.to_string(),
            "--set layers[1].linear.outputs");
  EXPECT_EQ(spec.input.channels, 1);
}

TEST(Network, PrintsWhatReadsBackAsTheSame) {
  const NetworkSpec spec = network(
      "  - conv: {name: stem, filters: 32, size: [3, 5]}\n"
      "  - repeat: {count: 2, name: b, layers: [flatten, add: {from: [stem, \"stem\"]}]}\n",
      "defaults: {conv: {act: {leaky: 0.1}}}\n");
  const std::string text = print_network(spec);
  const NetworkSpec again = load_network_text(text, "x.yaml");
  EXPECT_EQ(print_network(again), text);
  EXPECT_EQ(names(again), names(spec));
  EXPECT_THAT(text, HasSubstr("name: \"n\""));
}

}  // namespace
}  // namespace daybreak
