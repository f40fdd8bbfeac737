// Norms that the convolution behind them applies on load: what is asked, what is planned, and that
// it trains alike.

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/act.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "plan/first_gradients.h"
#include "plan/fuse.h"
#include "plan/small_nets.h"
#include "support/forwarding_backend.h"

namespace daybreak {
namespace {

/// Whatever may be joined for training.
struct Joins final : ForwardingBackend {
  using ForwardingBackend::ForwardingBackend;
  bool norms_with_sum(DType) const override { return true; }
  bool statistics_of_convs(DType) const override { return true; }
  bool loads_norms(DType) const override { return loads; }
  bool loads = true;
};

bool always(const std::vector<KernelAsk>&, const std::vector<KernelAsk>&) {
  return true;
}

PlanRequest request_for(const Graph& graph) {
  PlanRequest request;
  request.batch = 4;
  request.keep = {graph.loss};
  return request;
}

Plan plan_of(const Graph& graph, Backend& backend, const PlanRequest& request,
             const JoinChooser& join) {
  ParamLayouts layouts(graph.params.size());
  return make_plan(
      graph, backend, request, layouts,
      [](const KernelQuery&, const std::vector<KernelOffer>&) { return OfferChoice(0); }, join);
}

int on_load(const Plan& plan) {
  return static_cast<int>(std::count_if(
      plan.steps.begin(), plan.steps.end(),
      [](const PlanStep& step) { return step.op.find("on load") != std::string::npos; }));
}

class PlanLoads : public testing::Test {
 protected:
  PlanLoads() : ref_(make_ref_backend()), backend_(*ref_), graph_(resnet_block_net()) {}

  BackendPtr ref_;
  Joins backend_;
  Graph graph_;
};

TEST_F(PlanLoads, TrainsAsWithTheTensor) {
  const Trained expected = first_gradients(graph_, backend_);
  const Trained actual = first_gradients(graph_, backend_, always);
  EXPECT_NEAR(actual.loss, expected.loss, 1e-6 * expected.loss);
  expect_near(actual.gradients, expected.gradients, 1e-5f);
  expect_near(actual.running, expected.running, 1e-6f);
}

TEST_F(PlanLoads, TheTensorIsNotThere) {
  const PlanRequest request = request_for(graph_);
  const Plan apart = plan_of(graph_, backend_, request, {});
  const Plan joined = plan_of(graph_, backend_, request, always);
  EXPECT_EQ(on_load(apart), 0);
  // Norm, convolution, its two gradients, and the norm's.
  EXPECT_EQ(on_load(joined), 5);
  ASSERT_EQ(joined.steps.size(), apart.steps.size());
  for (std::size_t i = 0; i < joined.steps.size(); ++i) {
    const PlanStep& step = joined.steps[i];
    if (step.op.find("on load") == std::string::npos) continue;
    SCOPED_TRACE(step.layer + " " + std::string(to_string(step.pass)));
    EXPECT_NE(step.aux, kNone);
    if (step.layer == "n1" && step.pass == Pass::forward) {
      EXPECT_EQ(step.op, "batchnorm + relu, on load");
      EXPECT_EQ(step.y, kNone);
      EXPECT_TRUE(step.x.empty());
    }
    if (step.layer != "c2" || step.pass == Pass::backward_data) continue;
    EXPECT_EQ(step.op, "conv 3x3/1 + statistics, norm on load");
    ASSERT_EQ(step.x.size(), 1u);
    EXPECT_EQ(joined.tensors[joined.root(step.x[0])].name, "c1");
    EXPECT_EQ(apart.tensors[apart.root(apart.steps[i].x[0])].name, "n1");
  }
}

// The kernels that read or write the norm's output, of both plans, and nothing else.
TEST_F(PlanLoads, AsksForTheKernelsThatDiffer) {
  int asked = 0;
  const auto never = [&](const std::vector<KernelAsk>& apart,
                         const std::vector<KernelAsk>& joined) {
    ++asked;
    for (const auto* side : {&apart, &joined}) {
      EXPECT_EQ(side->size(), 3u);
      const auto pass = [&](std::size_t i) { return (*side)[i].query.pass; };
      EXPECT_EQ((*side)[0].query.op->kind(), OpKind::batchnorm);
      EXPECT_EQ(pass(0), Pass::forward);
      EXPECT_EQ(pass(1), Pass::forward);
      EXPECT_EQ(pass(2), Pass::backward_weights);
      for (std::size_t i = 1; i < 3; ++i) {
        const auto& conv = static_cast<const Conv2d&>(*(*side)[i].query.op);
        EXPECT_EQ(conv.loads, side == &joined);
        EXPECT_TRUE(conv.measures && conv.chain);
        EXPECT_EQ((*side)[i].query.inputs[0].shape.c, 6);
        EXPECT_FALSE((*side)[i].offers.empty());
      }
    }
    return false;
  };
  const Plan plan = plan_of(graph_, backend_, request_for(graph_), never);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(on_load(plan), 0);
}

TEST_F(PlanLoads, FrozenWeightsHaveNoGradientToAskFor) {
  PlanRequest request = request_for(graph_);
  request.frozen.assign(graph_.params.size(), false);
  for (std::size_t p = 0; p < graph_.params.size(); ++p) {
    if (graph_.params[p].name.find("c2") == 0) request.frozen[p] = true;
  }
  std::size_t kernels = 0;
  const Plan plan = plan_of(graph_, backend_, request,
                            [&](const std::vector<KernelAsk>&, const std::vector<KernelAsk>& all) {
                              kernels = all.size();
                              return true;
                            });
  EXPECT_EQ(kernels, 2u);
  EXPECT_EQ(on_load(plan), 4);
}

TEST_F(PlanLoads, NobodyAsksWhereItCannotBe) {
  int asked = 0;
  const auto join = [&](const std::vector<KernelAsk>&, const std::vector<KernelAsk>&) {
    ++asked;
    return true;
  };
  PlanRequest request = request_for(graph_);
  for (const GraphNode& node : graph_.nodes) {
    if (node.layer == "r1") request.keep.push_back(node.output);
  }
  plan_of(graph_, backend_, request, join);
  EXPECT_EQ(asked, 0) << "somebody reads what the norm makes";
  request = request_for(graph_);
  request.fuse = false;
  plan_of(graph_, backend_, request, join);
  request.fuse = true;
  request.mode = Mode::eval;
  plan_of(graph_, backend_, request, join);
  EXPECT_EQ(asked, 0) << "training only";
  request.mode = Mode::train;
  plan_of(darknet_block_net(), backend_, request_for(darknet_block_net()), join);
  EXPECT_EQ(asked, 0) << "leaky";
  backend_.loads = false;
  plan_of(graph_, backend_, request, join);
  EXPECT_EQ(asked, 0) << "not on every backend";
}

}  // namespace
}  // namespace daybreak
