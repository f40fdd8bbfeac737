#include "plan/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/small_nets.h"
#include "support/forwarding_backend.h"

namespace daybreak {
namespace {

std::size_t first(const KernelQuery&, const std::vector<KernelOffer>&) {
  return 0;
}

PlanRequest train_request(const Graph& graph) {
  PlanRequest request;
  request.batch = 4;
  request.keep = {graph.loss, graph.prediction, graph.topk};
  return request;
}

// Replays the steps: everything read was written before, by the tensor that owns the bytes now.
void check_dataflow(const Plan& plan) {
  std::vector<TensorId> owner_at(plan.tensors.size(), kNone);
  std::vector<bool> written(plan.tensors.size(), false);
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const PlanTensor& tensor = plan.tensors[i];
    const bool input = tensor.alias_of == kNone && tensor.first == 0 && tensor.name != "" &&
                       (tensor.name == "image" || tensor.name == "labels");
    written[i] = tensor.place != Place::arena || input;
  }
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const PlanStep& step = plan.steps[s];
    const auto read = [&](TensorId id) {
      if (id == kNone) return;
      const PlanTensor& root = plan.tensors[plan.root(id)];
      EXPECT_TRUE(written[plan.root(id)]) << "step " << s << " " << step.layer << " reads "
                                          << plan.tensors[id].name << " before it is written";
      if (root.place == Place::arena) {
        EXPECT_LE(root.first, static_cast<int>(s));
        EXPECT_GE(root.last, static_cast<int>(s));
      }
    };
    for (TensorId id : step.x) read(id);
    for (TensorId id : step.w) read(id);
    if (step.op.find("batchnorm") != std::string::npos) read(step.statistics);
    if (step.statistics != kNone) written[plan.root(step.statistics)] = true;
    read(step.dy);
    if (step.kind == StepKind::accumulate) read(step.y);
    const bool forward = static_cast<std::size_t>(s) < plan.forward_steps;
    if (step.op.find("norm on load") != std::string::npos) read(step.aux);
    if (!forward && step.kind == StepKind::op) {
      read(step.y);
      read(step.aux);
    }
    for (TensorId id : step.dx) {
      if (id != kNone) written[plan.root(id)] = true;
    }
    if (step.y != kNone) written[plan.root(step.y)] = true;
    if (step.aux != kNone) written[plan.root(step.aux)] = true;
  }
}

TEST(Planner, EveryReadFollowsItsWrite) {
  const BackendPtr backends[] = {make_ref_backend(), make_cpu_backend(1)};
  for (const BackendPtr& backend : backends) {
    for (const Graph& graph : small_nets()) {
      SCOPED_TRACE(backend->name() + " " + graph.name);
      ParamLayouts layouts(graph.params.size());
      const Plan plan = make_plan(graph, *backend, train_request(graph), layouts, first);
      EXPECT_GT(plan.steps.size(), plan.forward_steps);
      check_dataflow(plan);
    }
  }
}

/// The reference with everything that a plan may join for training.
struct Joining final : ForwardingBackend {
  using ForwardingBackend::ForwardingBackend;
  bool norms_in_place(DType) const override { return true; }
  bool norms_with_sum(DType) const override { return true; }
  bool statistics_of_convs(DType) const override { return true; }
  bool loads_norms(DType) const override { return true; }
};

TEST(Planner, EveryReadFollowsItsWriteWhereMuchIsJoined) {
  const BackendPtr ref = make_ref_backend();
  Joining joining(*ref);
  for (const Graph& graph : small_nets()) {
    SCOPED_TRACE(graph.name);
    ParamLayouts layouts(graph.params.size());
    for (const bool on_load : {false, true}) {
      check_dataflow(make_plan(graph, joining, train_request(graph), layouts, first,
                               [&](const auto&, const auto&) { return on_load; }));
    }
  }
}

TEST(Planner, LiveTensorsNeverOverlap) {
  const BackendPtr backend = make_cpu_backend(1);
  for (const Graph& graph : small_nets()) {
    ParamLayouts layouts(graph.params.size());
    const Plan plan = make_plan(graph, *backend, train_request(graph), layouts, first);
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const PlanTensor &a = plan.tensors[i], &b = plan.tensors[j];
        if (a.place != Place::arena || b.place != Place::arena) continue;
        if (a.alias_of != kNone || b.alias_of != kNone || a.first < 0 || b.first < 0) continue;
        const bool alive = a.first <= b.last && b.first <= a.last;
        const bool overlap =
            a.offset < b.offset + b.desc.bytes && b.offset < a.offset + a.desc.bytes;
        EXPECT_FALSE(alive && overlap) << a.name << " and " << b.name;
      }
    }
  }
}

TEST(Planner, EvaluationDropsLossAndLabelsThatNobodyKeeps) {
  const Graph graph = residual_net();
  const BackendPtr backend = make_ref_backend();
  ParamLayouts layouts(graph.params.size());
  PlanRequest request;
  request.mode = Mode::eval;
  request.keep = {graph.prediction};
  const Plan plan = make_plan(graph, *backend, request, layouts, first);
  EXPECT_EQ(plan.value_tensor[graph.loss], kNone);
  EXPECT_EQ(plan.forward_steps, plan.steps.size());
  EXPECT_NE(plan.value_tensor[graph.prediction], kNone);
}

TEST(Planner, FrozenStemHasNoBackward) {
  const Graph graph = residual_net();
  const BackendPtr backend = make_ref_backend();
  ParamLayouts layouts(graph.params.size());
  PlanRequest request = train_request(graph);
  request.frozen.assign(graph.params.size(), false);
  for (std::size_t p = 0; p < graph.params.size(); ++p) {
    request.frozen[p] = graph.params[p].name.rfind("stem", 0) == 0;
  }
  const Plan plan = make_plan(graph, *backend, request, layouts, first);
  for (std::size_t s = plan.forward_steps; s < plan.steps.size(); ++s) {
    EXPECT_THAT(plan.steps[s].layer, testing::Not(testing::StartsWith("stem")));
  }
}

TEST(Planner, BatchNormOverOneValueIsAnError) {
  Graph graph = residual_net();
  const BackendPtr backend = make_ref_backend();
  ParamLayouts layouts(graph.params.size());
  PlanRequest request = train_request(graph);
  request.batch = 1;
  request.height = request.width = 1;
  try {
    make_plan(graph, *backend, request, layouts, first);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("test.yaml:1:1: error: layer \"stem_bn\""));
    EXPECT_THAT(error.what(), testing::HasSubstr("use a larger batch"));
  }
}

}  // namespace
}  // namespace daybreak
