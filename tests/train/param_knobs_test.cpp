#include "train/param_knobs.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace daybreak {
namespace {

Graph graph_of(const std::vector<std::pair<std::string, ParamRole>>& params) {
  Graph graph;
  graph.name = "net";
  for (const auto& [name, role] : params) {
    Param param;
    param.name = name;
    param.spec.role = role;
    graph.params.push_back(param);
  }
  return graph;
}

const Graph kGraph = graph_of({{"stem.weight", ParamRole::weight},
                               {"stem.bias", ParamRole::bias},
                               {"g1.conv.weight", ParamRole::weight},
                               {"head.weight", ParamRole::weight}});

TEST(ParamKnobs, TheFirstGroupThatMatchesCounts) {
  OptimizerSpec spec;
  spec.bias_lr = 2.0;
  spec.groups = {{"stem", 0.1}, {"g*", 0.5}, {"stem.bias", 7.0}};
  const auto knobs = param_knobs(kGraph, spec, {false, false, false, true});
  EXPECT_FLOAT_EQ(knobs[0].lr_scale, 0.1f);
  EXPECT_FLOAT_EQ(knobs[1].lr_scale, 0.2f);  // of the group and of biases
  EXPECT_FLOAT_EQ(knobs[2].lr_scale, 0.5f);
  EXPECT_FLOAT_EQ(knobs[3].lr_scale, 1.0f);
  EXPECT_TRUE(knobs[3].frozen);
}

TEST(ParamKnobs, GroupsScaleTheDecay) {
  OptimizerSpec spec;
  spec.weight_decay = 0.5;
  spec.decay_on = DecayOn::all;
  spec.groups = {{"*.bias", 64.0, 0.25}};
  const auto knobs = param_knobs(kGraph, spec, {false, false, false, false});
  EXPECT_FLOAT_EQ(knobs[0].weight_decay, 0.5f);
  EXPECT_FLOAT_EQ(knobs[1].weight_decay, 0.125f);
  EXPECT_FLOAT_EQ(knobs[1].lr_scale, 64.0f);
  spec.decay_on = DecayOn::weights;
  EXPECT_EQ(param_knobs(kGraph, spec, {false, false, false, false})[1].weight_decay, 0.0f);
}

TEST(ParamKnobs, AGroupThatMatchesNothingIsAnError) {
  OptimizerSpec spec;
  spec.groups = {{"backbone.*", 0.1}};
  const std::string message = test::message_of<ConfigError>([&] {
    param_knobs(kGraph, spec, {false, false, false, false});
  });
  EXPECT_NE(message.find("\"backbone.*\" matches no layer of network \"net\""), std::string::npos)
      << message;
}

}  // namespace
}  // namespace daybreak
