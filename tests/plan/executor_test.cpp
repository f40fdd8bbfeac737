#include "plan/executor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/philox.h"
#include "plan/small_nets.h"
#include "support/forwarding_backend.h"

namespace daybreak {
namespace {

constexpr int kBatch = 4;

struct Inputs {
  std::vector<double> pictures;
  std::vector<std::int32_t> labels;
};

Inputs random_inputs(const Graph& graph) {
  Inputs inputs;
  Draws draws(5, Purpose::synthetic, 1, 2);
  const Shape shape = graph.values[graph.input(InputRole::image)].shape;
  inputs.pictures.resize(static_cast<std::size_t>(shape.per_sample()) * kBatch);
  for (double& value : inputs.pictures) value = draws.uniform(-1.0f, 1.0f);
  for (int i = 0; i < kBatch; ++i) inputs.labels.push_back(static_cast<int>(draws.below(3)));
  return inputs;
}

PlanRequest request_for(const Graph& graph, DType dtype) {
  PlanRequest request;
  request.batch = kBatch;
  request.dtype = dtype;
  request.keep = {graph.loss, graph.prediction, graph.topk};
  request.input_gradient = true;
  return request;
}

void upload(Executor& executor, PlanId plan, const Inputs& inputs, DType dtype) {
  if (dtype == DType::f64) {
    executor.upload(plan, InputRole::image, inputs.pictures.data(), inputs.pictures.size() * 8);
  } else {
    const std::vector<float> narrow(inputs.pictures.begin(), inputs.pictures.end());
    executor.upload(plan, InputRole::image, narrow.data(), narrow.size() * 4);
  }
  executor.upload(plan, InputRole::labels, inputs.labels.data(), inputs.labels.size() * 4);
}

// Parameters are read and written as floats, so the step must be one that floats can hold exactly
// enough: h is a power of two and the loss runs in double.
TEST(Executor, GradientsMatchCentralDifferences) {
  const BackendPtr backend = make_ref_backend();
  for (Graph& graph : small_nets()) {
    SCOPED_TRACE(graph.name);
    const Inputs inputs = random_inputs(graph);
    const std::size_t params = graph.params.size();
    Executor executor(std::move(graph), *backend, DType::f64);
    const PlanId plan = executor.add_plan(request_for(executor.graph(), DType::f64));
    executor.prepare();
    executor.initialize(3);
    const auto loss = [&] {
      upload(executor, plan, inputs, DType::f64);
      executor.forward(plan);
      return executor.read_scalar(plan, executor.graph().loss);
    };
    loss();
    executor.backward(plan);
    int checked = 0;
    for (std::size_t p = 0; p < params; ++p) {
      const Param& param = executor.graph().params[p];
      if (!is_trained(param.spec.role)) continue;
      const ParamId id = static_cast<ParamId>(p);
      const std::vector<float> gradient = executor.params().read_gradient(id);
      std::vector<float> values = executor.params().read_weight(id);
      const std::size_t stride = values.size() / 3 + 1;
      for (std::size_t i = 0; i < values.size(); i += stride) {
        const float original = values[i], h = std::ldexp(1.0f, -14);
        values[i] = original + h;
        executor.params().write_weight(id, values);
        const double up_at = values[i], up = loss();
        values[i] = original - h;
        executor.params().write_weight(id, values);
        const double down_at = values[i], down = loss();
        values[i] = original;
        executor.params().write_weight(id, values);
        const double numeric = (up - down) / (up_at - down_at);
        // The scalar is read as f32: 6e-8 relative over 2h gives the absolute term.
        EXPECT_NEAR(gradient[i], numeric, 2e-4 + 1e-3 * std::abs(numeric))
            << param.name << " " << i;
        ++checked;
      }
    }
    EXPECT_GE(checked, 15);
  }
}

/// Its convolutions fail when they run.
class Failing final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    std::vector<KernelOffer> list = inner_.offers(query, reason);
    if (query.op->kind() != OpKind::conv2d) return list;
    struct Broken final : Kernel {
      void run(const Bindings&) override { throw DeviceError("cudaLaunchKernel failed"); }
    };
    for (KernelOffer& offer : list) offer.make = [] { return std::make_unique<Broken>(); };
    return list;
  }
};

TEST(Executor, AnErrorOfAKernelNamesItsLayer) {
  const BackendPtr cpu = make_cpu_backend(1);
  Failing backend(*cpu);
  Executor executor(residual_net(), backend);
  const PlanId plan = executor.add_plan(request_for(executor.graph(), DType::f32));
  executor.prepare();
  try {
    executor.forward(plan);
    FAIL() << "a broken kernel ran";
  } catch (const DeviceError& error) {
    const std::string layer = executor.graph().nodes[0].layer;
    EXPECT_EQ(std::string(error.what()), "layer \"" + layer + "\": cudaLaunchKernel failed");
  }
}

TEST(Executor, FusedEqualsUnfused) {
  const BackendPtr backend = make_cpu_backend(1);
  for (int net = 0; net < 3; ++net) {
    std::vector<float> predictions[2], gradients[2];
    for (int fused = 0; fused < 2; ++fused) {
      Graph graph = std::move(small_nets()[net]);
      const Inputs inputs = random_inputs(graph);
      Executor executor(std::move(graph), *backend);
      PlanRequest request = request_for(executor.graph(), DType::f32);
      request.fuse = fused == 1;
      const PlanId plan = executor.add_plan(request);
      executor.prepare();
      executor.initialize(3);
      upload(executor, plan, inputs, DType::f32);
      executor.forward(plan);
      executor.backward(plan);
      executor.read(plan, executor.graph().prediction, predictions[fused]);
      gradients[fused] = executor.params().read_gradient(0);
    }
    for (std::size_t i = 0; i < predictions[0].size(); ++i) {
      EXPECT_NEAR(predictions[0][i], predictions[1][i], 1e-5f);
    }
    for (std::size_t i = 0; i < gradients[0].size(); ++i) {
      EXPECT_NEAR(gradients[0][i], gradients[1][i], 1e-5f);
    }
  }
}

TEST(Executor, CpuAgreesWithReference) {
  for (int net = 0; net < 3; ++net) {
    std::vector<float> predictions[2], inputs_gradient[2];
    std::vector<std::vector<float>> weights[2];
    const BackendPtr backends[2] = {make_ref_backend(), make_cpu_backend(2)};
    for (int b = 0; b < 2; ++b) {
      Graph graph = std::move(small_nets()[net]);
      const Inputs inputs = random_inputs(graph);
      Executor executor(std::move(graph), *backends[b]);
      const PlanId plan = executor.add_plan(request_for(executor.graph(), DType::f32));
      executor.prepare();
      executor.initialize(3);
      executor.set_optimizer({});
      std::vector<ParamKnobs> knobs(executor.graph().params.size());
      executor.set_groups(executor.params().groups(knobs));
      executor.scalars().lr = 0.01f;
      executor.scalars().momentum = 0.9f;
      for (int step = 0; step < 5; ++step) {
        executor.send_scalars();
        upload(executor, plan, inputs, DType::f32);
        executor.forward(plan);
        executor.backward(plan);
        EXPECT_GT(executor.gradient_norm(), 0.0f);
        executor.update();
      }
      executor.read(plan, executor.graph().prediction, predictions[b]);
      executor.read_input_gradient(plan, executor.graph().input(InputRole::image),
                                   inputs_gradient[b]);
      for (std::size_t p = 0; p < executor.graph().params.size(); ++p) {
        weights[b].push_back(executor.params().read_weight(static_cast<ParamId>(p)));
      }
    }
    for (std::size_t i = 0; i < predictions[0].size(); ++i) {
      EXPECT_NEAR(predictions[0][i], predictions[1][i], 2e-4f) << "net " << net;
    }
    for (std::size_t i = 0; i < inputs_gradient[0].size(); ++i) {
      EXPECT_NEAR(inputs_gradient[0][i], inputs_gradient[1][i], 2e-4f) << "net " << net;
    }
    for (std::size_t p = 0; p < weights[0].size(); ++p) {
      for (std::size_t i = 0; i < weights[0][p].size(); ++i) {
        EXPECT_NEAR(weights[0][p][i], weights[1][p][i], 2e-4f) << "net " << net << " param " << p;
      }
    }
  }
}

TEST(Executor, AccumulationOfTwoHalvesEqualsTheirSum) {
  const BackendPtr backend = make_cpu_backend(1);
  Graph graph = branching_net();  // no batch norm: halves add up exactly
  const Inputs inputs = random_inputs(graph);
  Executor executor(std::move(graph), *backend);
  const PlanId plan = executor.add_plan(request_for(executor.graph(), DType::f32));
  executor.prepare();
  executor.prepare_accumulation();
  executor.initialize(3);
  upload(executor, plan, inputs, DType::f32);
  executor.forward(plan);
  executor.backward(plan);
  const std::vector<float> once = executor.params().read_gradient(0);
  executor.start_accumulation();
  executor.forward(plan);
  executor.backward(plan);
  executor.accumulate_gradients();
  executor.finish_accumulation();
  const std::vector<float> twice = executor.params().read_gradient(0);
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_EQ(twice[i], 2.0f * once[i]);
}

}  // namespace
}  // namespace daybreak
