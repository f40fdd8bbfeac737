#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "layers/build_support.h"
#include "layers/registry.h"

namespace daybreak {
namespace {

using ::testing::ElementsAreArray;

// What a layer does with a picture of 4 x 8 x 8: at least one line for every layer type.
struct Case {
  std::string type;
  std::string yaml;  // under `layers:`
  Shape output;      // of the prediction
  std::vector<std::string> params;
};

const std::vector<Case> kCases = {
    {"conv", "- conv: {name: a, filters: 6}", {1, 6, 8, 8}, {"a.weight 6 x 4 x 3 x 3", "a.bias 6"}},
    {"conv",
     "- conv: {name: a, filters: 6, size: [1, 5], stride: [2, 1], norm: batch, act: relu}",
     {1, 6, 4, 8},
     {"a.weight 6 x 4 x 1 x 5", "a.norm.weight 6", "a.norm.bias 6", "a.norm.running_mean 6",
      "a.norm.running_var 6"}},
    {"conv",
     "- conv: {name: a, filters: 8, groups: depthwise, bias: false, dilation: 2}",
     {1, 8, 8, 8},
     {"a.weight 8 x 1 x 3 x 3"}},
    {"conv",
     "- conv: {name: a, filters: 6, size: 2, pad: 0, norm: instance, bias: true}",
     {1, 6, 7, 7},
     {"a.weight 6 x 4 x 2 x 2", "a.bias 6"}},
    {"conv_transpose",
     "- conv_transpose: {name: a, filters: 6}",
     {1, 6, 16, 16},
     {"a.weight 4 x 6 x 4 x 4", "a.bias 6"}},
    {"conv_transpose",
     "- conv_transpose: {name: a, filters: 6, size: 3, groups: 2, norm: batch}",
     {1, 6, 16, 16},
     {"a.weight 4 x 3 x 3 x 3", "a.norm.weight 6", "a.norm.bias 6", "a.norm.running_mean 6",
      "a.norm.running_var 6"}},
    {"conv_transpose",
     "- conv_transpose: {name: a, filters: 6, size: 2, stride: 3}",
     {1, 6, 24, 24},
     {"a.weight 4 x 6 x 2 x 2", "a.bias 6"}},
    {"conv_transpose",
     "- conv_transpose: {name: a, filters: 1, size: 3, pad: 0, output_pad: 1}",
     {1, 1, 18, 18},
     {"a.weight 4 x 1 x 3 x 3", "a.bias 1"}},
    {"linear", "- linear: {name: a, outputs: 5}", {1, 5, 1, 1}, {"a.weight 5 x 256", "a.bias 5"}},
    {"linear",
     "- linear: {name: a, outputs: 5, norm: batch, act: tanh}",
     {1, 5, 1, 1},
     {"a.weight 5 x 256", "a.norm.weight 5", "a.norm.bias 5", "a.norm.running_mean 5",
      "a.norm.running_var 5"}},
    {"batch_norm",
     "- batch_norm: {name: a, act: relu}",
     {1, 4, 8, 8},
     {"a.weight 4", "a.bias 4", "a.running_mean 4", "a.running_var 4"}},
    {"batch_norm",
     "- batch_norm: {name: a, affine: false}",
     {1, 4, 8, 8},
     {"a.running_mean 4", "a.running_var 4"}},
    {"instance_norm", "- instance_norm", {1, 4, 8, 8}, {}},
    {"instance_norm",
     "- instance_norm: {name: a, affine: true}",
     {1, 4, 8, 8},
     {"a.weight 4", "a.bias 4"}},
    {"act", "- act: relu", {1, 4, 8, 8}, {}},
    {"act", "- act: {fn: {leaky: 0.2}}", {1, 4, 8, 8}, {}},
    {"relu", "- relu", {1, 4, 8, 8}, {}},
    {"leaky", "- leaky: 0.2", {1, 4, 8, 8}, {}},
    {"sigmoid", "- sigmoid", {1, 4, 8, 8}, {}},
    {"tanh", "- tanh", {1, 4, 8, 8}, {}},
    {"softmax", "- softmax", {1, 4, 8, 8}, {}},
    {"dropout", "- dropout: 0.3", {1, 4, 8, 8}, {}},
    {"maxpool", "- maxpool: 2", {1, 4, 4, 4}, {}},
    {"maxpool", "- maxpool: {size: 3, stride: 2, ceil: true}", {1, 4, 4, 4}, {}},
    {"maxpool", "- maxpool: {size: 3, stride: 2}", {1, 4, 3, 3}, {}},
    {"maxpool", "- maxpool: {size: 2, stride: 1, pad: [0, 1, 1, 0]}", {1, 4, 8, 8}, {}},
    {"avgpool", "- avgpool: {size: [2, 4], stride: size}", {1, 4, 4, 2}, {}},
    {"avgpool", "- avgpool: {size: 3, stride: 1, pad: 1, count_padding: false}", {1, 4, 8, 8}, {}},
    {"adaptive_avgpool", "- adaptive_avgpool: {size: [3, 2]}", {1, 4, 3, 2}, {}},
    {"global_avgpool", "- global_avgpool", {1, 4, 1, 1}, {}},
    {"upsample", "- upsample: 3", {1, 4, 24, 24}, {}},
    {"upsample", "- upsample: {scale: 2, mode: bilinear}", {1, 4, 16, 16}, {}},
    {"crop", "- crop: 5", {1, 4, 5, 5}, {}},
    {"crop", "- crop: [8, 3]", {1, 4, 8, 3}, {}},
    {"pad", "- pad: 2", {1, 4, 12, 12}, {}},
    {"pad", "- pad: {size: [1, 2], mode: reflect}", {1, 4, 10, 12}, {}},
    {"pad", "- pad: {size: [1, 2, 3, 4], mode: symmetric}", {1, 4, 12, 14}, {}},
    {"add", "- relu: {name: a}\n- add: {from: [a, input], act: relu}", {1, 4, 8, 8}, {}},
    {"add",
     "- conv: {name: a, filters: 7}\n- maxpool: {size: 4, name: p}\n"
     "- add: {from: [p, input], unequal: common}",
     {1, 7, 2, 2},
     {"a.weight 7 x 4 x 3 x 3", "a.bias 7"}},
    {"add",
     "- conv: {name: a, filters: 7}\n- add: {from: [input, a], unequal: common}",
     {1, 4, 8, 8},
     {"a.weight 7 x 4 x 3 x 3", "a.bias 7"}},
    {"concat",
     "- conv: {name: a, filters: 2}\n- concat: {from: [a, input, a]}",
     {1, 8, 8, 8},
     {"a.weight 2 x 4 x 3 x 3", "a.bias 2"}},
    {"multiply",
     "- global_avgpool: {name: a}\n- multiply: {from: [input, a], act: relu}",
     {1, 4, 8, 8},
     {}},
    {"scale", "- scale: 0.5", {1, 4, 8, 8}, {}},
    {"slice", "- slice: {groups: 2, group: 1}", {1, 2, 8, 8}, {}},
    {"reorg", "- reorg: 2", {1, 16, 4, 4}, {}},
    {"reorg", "- reorg: {stride: 2, order: darknet}", {1, 16, 4, 4}, {}},
    {"flatten", "- flatten", {1, 256, 1, 1}, {}},
    {"reshape", "- reshape: {c: auto, h: 4, w: 4}", {1, 16, 4, 4}, {}},
    {"res_layer",
     "- res_layer: {name: a}",
     {1, 4, 8, 8},
     {"a.conv1.weight 2 x 4 x 1 x 1", "a.conv1.bias 2", "a.conv2.weight 4 x 2 x 3 x 3",
      "a.conv2.bias 4"}},
    {"res_group",
     "- res_group: {name: g, filters: 8, blocks: 2, stride: 2}",
     {1, 8, 4, 4},
     {"g.conv.weight 8 x 4 x 3 x 3", "g.conv.bias 8", "g.1.conv1.weight 4 x 8 x 1 x 1",
      "g.1.conv1.bias 4", "g.1.conv2.weight 8 x 4 x 3 x 3", "g.1.conv2.bias 8",
      "g.2.conv1.weight 4 x 8 x 1 x 1", "g.2.conv1.bias 4", "g.2.conv2.weight 8 x 4 x 3 x 3",
      "g.2.conv2.bias 8"}},
    {"residual",
     "- residual: {name: r, body: [{conv: {name: c, filters: 6}}], "
     "shortcut: [{conv: {name: s, filters: 6, size: 1}}], act: relu}",
     {1, 6, 8, 8},
     {"r.c.weight 6 x 4 x 3 x 3", "r.c.bias 6", "r.shortcut.s.weight 6 x 4 x 1 x 1",
      "r.shortcut.s.bias 6"}},
    {"yolo",
     "- conv: {name: a, filters: 14, size: 1}\n"
     "- yolo: {anchors: [[2, 3], [4, 5], [6, 7]], mask: [0, 2], classes: 2}",
     {1, 14, 8, 8},
     {"a.weight 14 x 4 x 1 x 1", "a.bias 14"}},
    {"region",
     "- conv: {name: a, filters: 8, size: 1}\n- region: {anchors: [[2, 3]], classes: 3}",
     {1, 8, 8, 8},
     {"a.weight 8 x 4 x 1 x 1", "a.bias 8"}},
    {"softmax_loss", "- flatten\n- softmax_loss: {label_smoothing: 0.1}", {1, 256, 1, 1}, {}},
    {"hinge_loss", "- flatten\n- hinge_loss", {1, 256, 1, 1}, {}},
    {"mse_loss", "- mse_loss", {1, 4, 8, 8}, {}},
    {"l1_loss", "- l1_loss", {1, 4, 8, 8}, {}},
    {"smooth_l1_loss", "- smooth_l1_loss: {beta: 0.5}", {1, 4, 8, 8}, {}},
    {"bce_loss", "- bce_loss", {1, 4, 8, 8}, {}},
    {"ssd",
     "- ssd: {name: a, sizes: [[0.2, 0.3]], ratios: [1, 2], classes: 2}",
     {1, 21, 8, 8},
     {"a.map1.weight 21 x 4 x 3 x 3", "a.map1.bias 21"}},
};

TEST(LayerCases, GiveShapesAndParameters) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.yaml);
    const Graph graph = build(c.yaml + "\n", {1, 4, 8, 8});
    EXPECT_EQ(output_shape(graph), c.output) << to_string(output_shape(graph));
    EXPECT_THAT(param_list(graph), ElementsAreArray(c.params));
  }
}

// Walks the registry: whoever adds a layer adds a case, and says what it and its options are.
TEST(LayerCases, CoverEveryLayerType) {
  std::set<std::string> covered;
  for (const Case& c : kCases) {
    EXPECT_NE(find_layer_type(c.type), nullptr) << c.type;
    EXPECT_NE(c.yaml.find(c.type), std::string::npos) << c.yaml;
    covered.insert(c.type);
  }
  for (const LayerType& type : layer_types()) {
    EXPECT_TRUE(covered.contains(type.name)) << "no test case for layer " << type.name;
  }
}

TEST(LayerTypes, HaveUniqueNamesAndDocs) {
  std::set<std::string> names;
  for (const LayerType& type : layer_types()) {
    EXPECT_TRUE(names.insert(type.name).second) << type.name << " is listed twice";
    EXPECT_FALSE(type.doc.empty()) << type.name;
    ASSERT_NE(type.schema, nullptr) << type.name;
    for (const FieldInfo& info : type.schema->fields()) {
      EXPECT_FALSE(info.doc.empty()) << type.name << "." << info.key;
      EXPECT_NE(info.key, "name") << type.name;
      EXPECT_NE(info.key, "from") << type.name;
    }
  }
  EXPECT_EQ(layer_schema_entries().size(), layer_types().size());
  EXPECT_EQ(find_layer_type("Conv"), nullptr);
}

}  // namespace
}  // namespace daybreak
