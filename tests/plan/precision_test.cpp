// Plans with 16-bit activations: which nodes stay in f32, and that a whole net agrees with f32.

#include "plan/precision.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/philox.h"
#include "graph/graph_builder.h"
#include "ops/add.h"
#include "ops/linear.h"
#include "ops/softmax_xent.h"
#include "plan/executor.h"
#include "plan/small_nets.h"

namespace daybreak {
namespace {

constexpr int kBatch = 16;

PlanRequest request_for(const Graph& graph, DType dtype) {
  PlanRequest request;
  request.batch = kBatch;
  request.dtype = dtype;
  request.keep = {graph.loss, graph.prediction, graph.topk};
  return request;
}

/// Pictures of three classes that differ in their mean, so that there is something to learn.
void upload_batch(Executor& executor, PlanId plan, int step) {
  const Graph& graph = executor.graph();
  const std::int64_t size = graph.values[graph.input(InputRole::image)].shape.per_sample();
  Draws draws(9, Purpose::synthetic, static_cast<std::uint64_t>(step), 0);
  std::vector<float> pictures;
  std::vector<std::int32_t> labels;
  for (int n = 0; n < kBatch; ++n) {
    labels.push_back(static_cast<std::int32_t>(draws.below(3)));
    const float shift = 0.7f * static_cast<float>(labels.back() - 1);
    for (std::int64_t i = 0; i < size; ++i) pictures.push_back(shift + draws.uniform(-1.0f, 1.0f));
  }
  executor.upload(plan, InputRole::image, pictures.data(), pictures.size() * sizeof(float));
  executor.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(labels[0]));
}

struct Training {
  BackendPtr backend;
  std::unique_ptr<Executor> executor;
  PlanId plan = -1;

  Training(int net, DType dtype) : backend(make_cpu_backend(2)) {
    Graph graph = net < 3 ? std::move(small_nets()[net]) : rare_ops_net();
    executor = std::make_unique<Executor>(std::move(graph), *backend);
    plan = executor->add_plan(request_for(executor->graph(), dtype));
    executor->prepare();
    executor->initialize(3);
    executor->set_optimizer({});
    std::vector<ParamKnobs> knobs(executor->graph().params.size());
    executor->set_groups(executor->params().groups(knobs));
    executor->scalars().lr = net == 1 ? 0.001f : 0.02f;  // net 1 has no batch norm
    executor->scalars().momentum = 0.9f;
    executor->send_scalars();
  }
  double forward_backward(int step) {
    executor->send_scalars();
    upload_batch(*executor, plan, step);
    executor->forward(plan);
    executor->backward(plan);
    return executor->read_scalar(plan, executor->graph().loss);
  }
  void update() {
    executor->gradient_norm();
    executor->update();
  }
};

bool has_bf16() {
  return make_cpu_backend(1)->supports(DType::bf16);
}

TEST(Precision, OnlyTheEndOfANetStaysInF32) {
  const BackendPtr backend = make_cpu_backend(1);
  if (!backend->supports(DType::bf16)) GTEST_SKIP() << backend->identity();
  Executor executor(residual_net(), *backend);
  const PlanId id = executor.add_plan(request_for(executor.graph(), DType::bf16));
  const Plan& plan = executor.plan(id);
  for (std::size_t v = 0; v < plan.value_tensor.size(); ++v) {
    if (plan.value_tensor[v] == kNone) continue;
    const Value& value = executor.graph().values[v];
    const TensorDesc& desc = plan.tensors[plan.value_tensor[v]].desc;
    const bool from_outside = value.producer == kNone;
    const bool end = value.name == "head" || value.name == "loss" || value.name == "topk";
    if (desc.dtype == DType::i32) continue;
    EXPECT_EQ(desc.dtype, from_outside || end ? DType::f32 : DType::bf16) << value.name;
    if (plan.value_gradient[v] == kNone) continue;
    EXPECT_EQ(plan.tensors[plan.value_gradient[v]].desc.dtype, desc.dtype) << value.name;
  }
  for (const PlanTensor& tensor : plan.tensors) {
    if (tensor.alias_of == kNone &&
        (tensor.place == Place::weight || tensor.place == Place::gradient)) {
      EXPECT_EQ(tensor.desc.dtype, DType::f32) << tensor.name;
    }
  }
}

TEST(Precision, AllIsAsAskedOutsideOf16Bit) {
  const Graph graph = residual_net();
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const DType node : node_dtypes(graph.nodes, graph.values.size(), dtype)) {
      EXPECT_EQ(node, dtype);
    }
  }
}

// linear, scale, loss: the layer `scale` adds its input to itself.
TEST(Precision, ScaledScoresStayInF32) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId image = b.graph_input(InputRole::image, {1, 4, 1, 1}, DType::f32, "image");
  const ValueId labels = b.graph_input(InputRole::labels, {1, 1, 1, 1}, DType::i32, "labels");
  const auto layer = [&](const char* name, auto op, std::vector<ValueId> inputs) {
    b.begin_layer(name, Mark{"test.yaml", 1, 1}, inputs);
    b.add(op, inputs);
    return b.end_layer();
  };
  Linear linear;
  linear.outputs = 3;
  const ValueId head = layer("head", linear, {image});
  const ValueId scores = layer("scale", Add{}, {head, head});
  layer("loss", SoftmaxXent{}, {scores, labels});
  for (const DType node : node_dtypes(graph.nodes, graph.values.size(), DType::bf16)) {
    EXPECT_EQ(node, DType::f32);
  }
}

TEST(Precision, GradientsAgreeWithF32) {
  if (!has_bf16()) GTEST_SKIP() << "no bf16 on this processor";
  for (int net = 0; net < 4; ++net) {
    Training wide(net, DType::f32), narrow(net, DType::bf16);
    const double loss = wide.forward_backward(0);
    EXPECT_NEAR(narrow.forward_backward(0), loss, 0.01 * loss) << "net " << net;
    for (std::size_t p = 0; p < wide.executor->graph().params.size(); ++p) {
      const Param& param = wide.executor->graph().params[p];
      if (!is_trained(param.spec.role)) continue;
      // A bias in front of batch norm has a gradient of zero: only rounding is left of it.
      const auto a = wide.executor->params().read_gradient(static_cast<ParamId>(p));
      const auto b = narrow.executor->params().read_gradient(static_cast<ParamId>(p));
      double difference = 0.0, size = 0.0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(double{a[i]} - b[i], 2);
        size += std::pow(double{a[i]}, 2);
      }
      EXPECT_LE(std::sqrt(difference), 0.05 * std::sqrt(size) + 2e-3)
          << "net " << net << " " << param.name;
    }
  }
}

/// Means of ten losses each: with 16 samples and four channels a single one is noise.
TEST(Precision, LossesFollowThoseOfF32) {
  if (!has_bf16()) GTEST_SKIP() << "no bf16 on this processor";
  for (int net = 0; net < 3; ++net) {
    Training wide(net, DType::f32), narrow(net, DType::bf16);
    double means[4] = {}, narrow_means[4] = {};
    for (int step = 0; step < 40; ++step) {
      means[step / 10] += wide.forward_backward(step) / 10;
      narrow_means[step / 10] += narrow.forward_backward(step) / 10;
      wide.update();
      narrow.update();
    }
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(narrow_means[i], means[i], 0.02 * means[i]) << "net " << net << " mean " << i;
    }
    EXPECT_LT(means[3], 0.8 * means[0]) << "net " << net << " has not learned";
  }
}

/// Plans of both precisions over the same parameters, as phases of one run have them.
TEST(Precision, PlansOfBothTypesShareTheirParameters) {
  if (!has_bf16()) GTEST_SKIP() << "no bf16 on this processor";
  for (const bool narrow_first : {false, true}) {
    const BackendPtr backend = make_cpu_backend(2);
    Executor executor(residual_net(), *backend);
    const DType order[2] = {narrow_first ? DType::bf16 : DType::f32,
                            narrow_first ? DType::f32 : DType::bf16};
    const PlanId a = executor.add_plan(request_for(executor.graph(), order[0]));
    const PlanId b = executor.add_plan(request_for(executor.graph(), order[1]));
    executor.prepare();
    executor.initialize(3);
    double losses[2];
    for (const PlanId plan : {a, b}) {
      upload_batch(executor, plan, 0);
      executor.forward(plan);
      losses[plan == a ? 0 : 1] = executor.read_scalar(plan, executor.graph().loss);
    }
    EXPECT_NEAR(losses[0], losses[1], 0.01 * losses[0]);
    EXPECT_NE(losses[0], losses[1]);  // they do compute in different types
  }
}

}  // namespace
}  // namespace daybreak
