#include "train/averages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/batchnorm.h"
#include "plan/executor.h"
#include "support/temp_folder.h"

#include "graph/graph_builder.h"

namespace daybreak {
namespace {

using testing::HasSubstr;

// A batch norm over two channels: scale and shift are trained, its statistics are not.
class AveragesTest : public testing::Test {
 protected:
  AveragesTest() : backend_(make_ref_backend()), executor_(make_graph(), *backend_) {
    executor_.prepare();
    executor_.initialize(1);
  }

  static Graph make_graph() {
    Graph graph;
    GraphBuilder b(&graph);
    const ValueId x = b.graph_input(InputRole::image, {1, 2, 1, 1}, DType::f32, "x");
    b.begin_layer("bn", {}, {x});
    graph.prediction = b.add(BatchNorm{}, {x});
    b.end_layer();
    return graph;
  }

  ParamId param(const std::string& name) const {
    for (std::size_t p = 0; p < executor_.graph().params.size(); ++p) {
      if (executor_.graph().params[p].name == name) return static_cast<ParamId>(p);
    }
    return kNone;
  }
  void set(const std::string& name, float value) {
    executor_.params().write_weight(param(name), std::vector<float>{value, -value});
  }
  float get(const std::string& name) { return executor_.params().read_weight(param(name))[0]; }

  WeightAverages averages(const SolverSpec& spec) {
    return {spec, executor_.graph(), executor_.params(), *backend_};
  }
  static float value_of(const std::vector<NamedTensor>& tensors, const std::string& name) {
    for (const NamedTensor& tensor : tensors) {
      if (tensor.name == name) return tensor.values[0];
    }
    ADD_FAILURE() << "no " << name;
    return 0.0f;
  }

  BackendPtr backend_;
  Executor executor_;
};

// semantics.md, section 4: alpha .9, start 1, w = 2, 4, 8.
TEST_F(AveragesTest, EmaFollowsItsFormulaStatisticsToo) {
  SolverSpec spec;
  spec.ema.decay = 0.9;
  WeightAverages all = averages(spec);
  EXPECT_TRUE(all.has_ema());
  const char* names[] = {"bn.weight", "bn.running_var"};
  for (const char* name : names) set(name, 1.0f);
  all.start();
  const float weights[] = {2.0f, 4.0f, 8.0f};
  const float means[] = {1.1f, 1.39f, 2.051f};
  for (int step = 1; step <= 3; ++step) {
    for (const char* name : names) set(name, weights[step - 1]);
    all.after_step(step, 3);
    for (const char* name : names) {
      EXPECT_FLOAT_EQ(value_of(all.read(), std::string("optimizer.ema.") + name), means[step - 1]);
      EXPECT_EQ(get(name), weights[step - 1]) << "training does not see it";
    }
  }
  {
    const WeightAverages::EmaInPlace mean(all);
    EXPECT_FLOAT_EQ(get("bn.weight"), 2.051f);
  }
  EXPECT_EQ(get("bn.weight"), 8.0f);
}

// semantics.md, section 4, of YOLOv5's ramp.
TEST(EmaDecay, GrowsOverItsRamp) {
  const EmaSpec spec{.decay = 0.9999, .every = 1, .ramp = 2000.0};
  EXPECT_NEAR(ema_decay(spec, 1), 0.000499825, 1e-9);
  EXPECT_NEAR(ema_decay(spec, 100), 0.0487657, 1e-7);
  EXPECT_NEAR(ema_decay(spec, 2000), 0.632057, 1e-6);
  EXPECT_NEAR(ema_decay(spec, 10000), 0.993163, 1e-6);
  EXPECT_EQ(ema_decay({.decay = 0.9, .every = 1, .ramp = 0.0}, 1), 0.9);
}

TEST_F(AveragesTest, EmaWaitsForItsUpdates) {
  SolverSpec spec;
  spec.ema = {.decay = 0.5, .every = 2, .ramp = 0.0};
  WeightAverages all = averages(spec);
  set("bn.weight", 0.0f);
  all.start();
  set("bn.weight", 1.0f);
  all.after_step(1, 9);
  EXPECT_EQ(value_of(all.read(), "optimizer.ema.bn.weight"), 0.0f);
  all.after_step(2, 9);
  EXPECT_EQ(value_of(all.read(), "optimizer.ema.bn.weight"), 0.5f);
}

TEST_F(AveragesTest, LookaheadSetsTheWeightsBackAndEndsWithTheSlowOnes) {
  SolverSpec spec;
  spec.lookahead = {.every = 2, .decay = 0.75, .power = 0.0};
  WeightAverages all = averages(spec);
  set("bn.weight", 0.0f);
  all.start();
  set("bn.weight", 8.0f);
  all.after_step(1, 5);
  EXPECT_EQ(get("bn.weight"), 8.0f);
  all.after_step(2, 5);
  EXPECT_EQ(get("bn.weight"), 2.0f);  // 0.75 * 0 + 0.25 * 8
  set("bn.weight", 6.0f);
  all.after_step(3, 5);
  all.after_step(4, 5);
  EXPECT_EQ(get("bn.weight"), 3.0f);  // 0.75 * 2 + 0.25 * 6
  set("bn.weight", 100.0f);
  all.after_step(5, 5);
  EXPECT_EQ(get("bn.weight"), 3.0f);
  EXPECT_FALSE(all.has_ema());
}

TEST(LookaheadDecay, GrowsWithItsPower) {
  const LookaheadSpec airbench{.every = 5, .decay = 0.7737809375, .power = 3.0};
  EXPECT_NEAR(lookahead_decay(airbench, 238, 476), 0.7737809375 / 8, 1e-12);
  EXPECT_NEAR(lookahead_decay(airbench, 476, 476), 0.7737809375, 1e-12);
  EXPECT_EQ(lookahead_decay({.every = 5, .decay = 0.5, .power = 0.0}, 5, 100), 0.5);
}

TEST_F(AveragesTest, ComeBackFromTheirFile) {
  SolverSpec spec;
  spec.ema.decay = 0.9;
  spec.lookahead.every = 5;
  EXPECT_EQ(copies_of_weights(spec), 2);
  WeightAverages first = averages(spec), second = averages(spec);
  set("bn.weight", 3.0f);
  first.start();
  set("bn.weight", 5.0f);
  first.after_step(1, 9);
  second.start();
  second.write("file", first.read());
  EXPECT_FLOAT_EQ(value_of(second.read(), "optimizer.ema.bn.weight"), 3.2f);
  EXPECT_EQ(value_of(second.read(), "optimizer.lookahead.bn.weight"), 3.0f);
  const std::vector<NamedTensor> mean = ema_weights(first.read());
  ASSERT_EQ(mean.size(), 4u);
  EXPECT_FLOAT_EQ(value_of(mean, "bn.weight"), 3.2f);
}

TEST_F(AveragesTest, AFileWithoutThemIsRefused) {
  SolverSpec spec;
  spec.ema.decay = 0.9;
  WeightAverages all = averages(spec);
  const std::string message = test::message_of<DataError>([&] { all.write("a.safetensors", {}); });
  EXPECT_THAT(message,
              HasSubstr("a.safetensors: error: no \"optimizer.ema.bn.weight\" of the right "
                        "shape: it was trained without \"ema\", which cannot begin in the "
                        "middle"));
  EXPECT_TRUE(ema_weights({{"bn.weight", {2}, {1, 2}}}).empty());
}

}  // namespace
}  // namespace daybreak
