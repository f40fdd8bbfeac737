#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "config/solver_config.h"
#include "config/yaml_reader.h"
#include "core/text.h"
#include "layers/build_graph.h"

// Everything in cfg/ and data/ is read and built, and has the numbers its comments promise.

namespace daybreak {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = DAYBREAK_SOURCE_DIR;

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot + "/" + folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

Graph shipped(const std::string& name, const BuildOptions& options = {}) {
  return build_graph(load_network(kRoot + "/cfg/net/" + name + ".yaml"), options);
}

int count_kind(const Graph& graph, OpKind kind) {
  return static_cast<int>(std::ranges::count_if(
      graph.nodes, [kind](const GraphNode& node) { return node.op->kind() == kind; }));
}

// The batch norms of PyTorch count with their scale and shift, as here.
struct Facts {
  std::string name;
  std::int64_t parameters;
  int convolutions;
  int classes;
};

TEST(ShippedNets, HaveThePublishedNumbers) {
  const std::vector<Facts> kFacts = {
      {"airbench94", 1'972'792, 7, 10},
      {"cifar10-darknet", 31'410'922, 38, 10},
      {"cifar10-resnet18", 11'173'962, 20, 10},
      {"lenet", 61'706, 2, 10},
      {"mlp", 235'146, 0, 10},
      {"resnet50", 25'557'032, 53, 1000},
      {"squeezenet1.1", 1'235'496, 26, 1000},
  };
  for (const Facts& facts : kFacts) {
    SCOPED_TRACE(facts.name);
    const Graph graph = shipped(facts.name);
    EXPECT_EQ(graph.trained_parameters(), facts.parameters);
    EXPECT_EQ(count_kind(graph, OpKind::conv2d), facts.convolutions);
    EXPECT_EQ(graph.classes, facts.classes);
    EXPECT_EQ(graph.name, facts.name);
  }
}

// Of convolutions and linear layers, for one picture.
std::int64_t multiply_adds_of(const Graph& graph) {
  std::int64_t sum = 0;
  for (const GraphNode& node : graph.nodes) {
    const OpKind kind = node.op->kind();
    if (kind != OpKind::conv2d && kind != OpKind::linear) continue;
    sum += node.op->flops(std::vector{graph.values[node.inputs[0]].shape}) / 2;
  }
  return sum;
}

std::map<std::string, Shape> shapes_of(const Graph& graph) {
  std::map<std::string, Shape> shapes;
  for (const Value& value : graph.values) shapes[value.name] = value.shape;
  return shapes;
}

TEST(ShippedNets, TheSeedNetworkIsExact) {
  const Graph graph = shipped("cifar10-darknet");
  std::map<std::string, std::int64_t> by_part;
  for (const Param& param : graph.params) {
    if (!is_trained(param.spec.role)) continue;
    by_part[param.name.substr(0, param.name.find('.'))] += param.spec.shape.count();
  }
  // shared/semantics: stem, five groups, linear; 400.93 M multiply-adds.
  EXPECT_EQ(by_part["stem"], 928);
  EXPECT_EQ(by_part["g1"], 39'232);
  EXPECT_EQ(by_part["g2"], 238'592);
  EXPECT_EQ(by_part["g3"], 1'609'216);
  EXPECT_EQ(by_part["g4"], 9'054'208);
  EXPECT_EQ(by_part["g5"], 20'458'496);
  EXPECT_EQ(by_part["head"], 10'250);
  EXPECT_NEAR(static_cast<double>(multiply_adds_of(graph)), 400.93e6, 5e3);
  EXPECT_NEAR(static_cast<double>(graph.flops()), 0.80e9, 0.005e9);
  // Sides 32, 16, 16, 8, 4, 2 behind stem and groups.
  std::map<std::string, Shape> shapes = shapes_of(graph);
  EXPECT_EQ(shapes["stem"], (Shape{1, 32, 32, 32}));
  EXPECT_EQ(shapes["g1"], (Shape{1, 64, 16, 16}));
  EXPECT_EQ(shapes["g2"], (Shape{1, 128, 16, 16}));
  EXPECT_EQ(shapes["g3"], (Shape{1, 256, 8, 8}));
  EXPECT_EQ(shapes["g4"], (Shape{1, 512, 4, 4}));
  EXPECT_EQ(shapes["g5"], (Shape{1, 1024, 2, 2}));
}

TEST(ShippedNets, TheHalfNetworkHasAQuarterOfTheWork) {
  const Graph half = shipped("cifar10-darknet-half"), full = shipped("cifar10-darknet");
  EXPECT_EQ(count_kind(half, OpKind::conv2d), 38);
  EXPECT_NEAR(static_cast<double>(half.flops()) / static_cast<double>(full.flops()), 0.25, 0.005);
}

// Three groups of three blocks, k = 6, by the sums of their parts.
TEST(ShippedNets, WideResNetIsThatOfFastai) {
  std::int64_t expected = 3 * 16 * 9;
  int in = 16;
  for (int out : {96, 192, 384}) {
    for (int block = 0; block < 3; ++block) {
      expected += 2 * in + in * out * 9 + 2 * out + out * out * 9;
      if (in != out) expected += in * out;
      in = out;
    }
  }
  expected += 2 * in + in * 10 + 10;
  const Graph graph = shipped("wrn22");
  EXPECT_EQ(graph.trained_parameters(), expected);
  EXPECT_EQ(count_kind(graph, OpKind::conv2d), 1 + 18 + 3);
  EXPECT_EQ(count_kind(graph, OpKind::add), 9);
  EXPECT_EQ(graph.values[graph.prediction].shape.c, 10);
}

// The sums are those of torchvision's resnet50, whose strides lie in the 3x3 convolutions too.
TEST(ShippedNets, ResNet50IsThatOfTorchvision) {
  const Graph graph = shipped("resnet50");
  EXPECT_EQ(multiply_adds_of(graph), 4'089'184'256);
  EXPECT_EQ(count_kind(graph, OpKind::add), 16);
  std::map<std::string, Shape> shapes = shapes_of(graph);
  EXPECT_EQ(shapes["stem"], (Shape{1, 64, 112, 112}));
  EXPECT_EQ(shapes["layer1.2"], (Shape{1, 256, 56, 56}));
  EXPECT_EQ(shapes["layer2.0.conv1"], (Shape{1, 128, 56, 56}));
  EXPECT_EQ(shapes["layer2.0.conv2"], (Shape{1, 128, 28, 28}));
  EXPECT_EQ(shapes["layer4.2"], (Shape{1, 2048, 7, 7}));
}

TEST(ShippedNets, TheDefaultIsSmall) {
  const Graph graph = shipped("fashion-mnist");
  EXPECT_LE(graph.flops(), 50'000'000);
  EXPECT_LE(graph.trained_parameters(), 1'000'000);
}

TEST(ShippedNets, EveryFileBuilds) {
  const std::vector<std::string> files = files_in("cfg/net");
  EXPECT_GE(files.size(), 8u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    const NetworkSpec network = load_network(file);
    const Graph graph = build_graph(network, {});
    EXPECT_NE(graph.prediction, kNone);
    EXPECT_EQ(graph.name, fs::path(file).stem().string());
    // What is printed reads back to the same network.
    Diagnostics diagnostics;
    const Node printed = read_yaml(print_network(network), "printed.yaml", diagnostics);
    const Graph again = build_graph(parse_network(printed, diagnostics), {});
    EXPECT_TRUE(diagnostics.empty());
    EXPECT_EQ(again.flops(), graph.flops());
    ASSERT_EQ(again.params.size(), graph.params.size());
    for (std::size_t i = 0; i < graph.params.size(); ++i) {
      EXPECT_EQ(again.params[i].name, graph.params[i].name);
      EXPECT_EQ(again.params[i].spec.dims, graph.params[i].spec.dims);
    }
  }
}

TEST(ShippedSolvers, EveryFileFitsItsNetworkAndData) {
  const std::vector<std::string> files = files_in("cfg/solver");
  EXPECT_GE(files.size(), 7u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    const SolverConfig config = load_solver(file);
    EXPECT_EQ(config.spec.name, fs::path(file).stem().string());
    EXPECT_FALSE(config.spec.phases.empty());
    ASSERT_FALSE(config.spec.data.sources.empty());
    const int classes = static_cast<int>(config.spec.data.classes.size());
    const Graph graph = build_graph(config.net, {.classes = classes, .classes_source = "the data"});
    // ImageNet's names come with its folders.
    EXPECT_EQ(graph.classes, config.spec.data.name == "imagenet" ? 1000 : classes);
    EXPECT_NE(graph.loss, kNone);
  }
}

TEST(ShippedData, EveryDescriptorReads) {
  const std::vector<std::string> files = files_in("data");
  EXPECT_GE(files.size(), 4u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    const SolverConfig config = load_solver_text(
        fmt::format("net: {}/cfg/net/mlp.yaml\ndata: {}\nlr: 0.1\nlength: 1e\n", kRoot, file),
        "solver.yaml");
    EXPECT_EQ(config.spec.data.name, fs::path(file).stem().string());
    EXPECT_FALSE(config.spec.data.sources.empty());
    EXPECT_FALSE(config.spec.data.install.empty());
  }
}

// The header of a safetensors file: u64 length, JSON {name: {dtype, shape, data_offsets}}.
std::vector<std::string> tensor_list(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), 8);
  if (!file || length > (1u << 20)) throw std::runtime_error("cannot read " + path);
  std::string header(length, '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  std::vector<std::string> list;
  const nlohmann::json tensors = nlohmann::json::parse(header);
  for (const auto& [name, tensor] : tensors.items()) {
    if (name == "__metadata__") continue;
    const auto dims = tensor.at("shape").get<std::vector<std::int64_t>>();
    list.push_back(name + " " + format_dims(dims));
  }
  return list;
}

TEST(ShippedNets, SqueezeNetHasTheNamesOfItsWeights) {
  const char* shared = std::getenv("DAYBREAK_SHARED");
  const std::string folder = shared ? shared : kRoot + "/../shared";
  const std::string path = folder + "/weights/squeezenet1.1.safetensors";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not there; set DAYBREAK_SHARED";
  std::vector<std::string> params;
  for (const Param& param : shipped("squeezenet1.1").params) {
    params.push_back(param.name + " " + format_dims(param.spec.dims));
  }
  EXPECT_THAT(params, ::testing::UnorderedElementsAreArray(tensor_list(path)));
}

TEST(ShippedNets, SqueezeNetRoundsPoolsUp) {
  std::map<std::string, Shape> shapes = shapes_of(shipped("squeezenet1.1"));
  EXPECT_EQ(shapes["features.0"], (Shape{1, 64, 113, 113}));
  EXPECT_EQ(shapes["features.2"], (Shape{1, 64, 56, 56}));
  EXPECT_EQ(shapes["features.5"], (Shape{1, 128, 28, 28}));
  EXPECT_EQ(shapes["features.8"], (Shape{1, 256, 14, 14}));
  EXPECT_EQ(shapes["features.12"], (Shape{1, 512, 14, 14}));
  EXPECT_EQ(shapes["classifier.1"], (Shape{1, 1000, 14, 14}));
}

}  // namespace
}  // namespace daybreak
