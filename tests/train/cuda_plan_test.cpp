// What a training step on a GPU will consist of, planned without one: the module offers its own
// kernels, whose layouts are those of cuDNN's engines.

#include <algorithm>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "backend/module.h"
#include "layers/build_graph.h"
#include "plan/executor.h"
#include "plan/traffic.h"
#include "train/session.h"

namespace daybreak {
namespace {

Graph network(const std::string& name) {
  NetworkSpec net = load_network("builtin:cfg/net/" + name + ".yaml");
  use_placeholder_statistics(net.input);
  BuildOptions options;
  options.stand_in_classes = 10;
  return build_graph(net, options);
}

class CudaPlan : public testing::Test {
 protected:
  void SetUp() override {
#ifndef DAYBREAK_HAVE_CUDA
    GTEST_SKIP() << "skipped: this build has no CUDA module";
#endif
  }

  static Plan plan(Backend& backend, const Graph& graph, DType dtype, int batch,
                   const JoinChooser& join = {}) {
    PlanRequest request;
    request.dtype = dtype;
    request.batch = batch;
    request.keep = {graph.loss, graph.prediction, graph.topk};
    ParamLayouts layouts(graph.params.size());
    return make_plan(
        graph, backend, request, layouts,
        [](const KernelQuery&, const std::vector<KernelOffer>&) { return OfferChoice(0); }, join);
  }
};

int count(const Plan& plan, StepKind kind) {
  return static_cast<int>(std::count_if(plan.steps.begin(), plan.steps.end(),
                                        [&](const PlanStep& step) { return step.kind == kind; }));
}

// Bytes of activations and their gradients that the step's kernels name, each once a kernel.
double activation_bytes(const Plan& plan) {
  double bytes = 0.0;
  const auto add = [&](TensorId id) {
    if (id == kNone || plan.tensors[plan.root(id)].place != Place::arena) return;
    bytes += static_cast<double>(plan.tensors[id].desc.bytes);
  };
  for (const PlanStep& step : plan.steps) {
    for (const auto* ids : {&step.x, &step.dx}) {
      for (const TensorId id : *ids) add(id);
    }
    add(step.y), add(step.dy);
  }
  return bytes;
}

// Convolutions write once, norms read and write: the fewest tensors that separate kernels can name.
// Per convolution with norm and activation, forward and backward:
//   conv x, y; norm x, y | norm x, dy, dx; data gradient dy, dx; weight gradient x, dy
double floor_bytes(const Graph& graph, const Plan& plan) {
  double bytes = 0.0;
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() != OpKind::conv2d) continue;
    const auto of = [&](ValueId value) {
      return static_cast<double>(plan.shapes[value].count()) *
             static_cast<double>(element_size(plan.request.dtype));
    };
    const double x = of(node.inputs[0]), y = of(node.output);
    bytes += x + y + 2 * y + 3 * y + (y + x) + (x + y);
  }
  return bytes;
}

TEST_F(CudaPlan, TheSeedNetworkNeedsNoReordersOfActivations) {
  const BackendPtr cuda = make_cuda_offers();
  const Graph graph = network("cifar10-darknet");
  std::size_t f32_bytes = 0;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    const Plan made = plan(*cuda, graph, dtype, 512);
    for (const PlanStep& step : made.steps) {
      if (step.kind != StepKind::reorder) continue;
      // Towards the head, which computes in f32: a few thousand numbers.
      EXPECT_LE(made.tensors[step.y].desc.shape.count(), 512 * 1024 * 4) << step.layer;
    }
    EXPECT_LE(count(made, StepKind::reorder), dtype == DType::f32 ? 0 : 4);
    const double bytes = activation_bytes(made), floor = floor_bytes(graph, made);
    std::printf(
        "plan: %s, batch 512: %zu kernels, %d reorders, %d sums of gradients, activations %.2f GB "
        "a "
        "step, %.2f of the floor of separate kernels; arena %.0f MiB, %.3f of its bound\n",
        to_string(dtype), made.steps.size(), count(made, StepKind::reorder),
        count(made, StepKind::accumulate), bytes * 1e-9, bytes / floor,
        static_cast<double>(made.memory.arena_bytes) / 1048576.0,
        static_cast<double>(made.memory.arena_bytes) /
            static_cast<double>(made.memory.lower_bound));
    const Traffic traffic = plan_traffic(graph, made);
    std::printf("plan: %s: forward moves %.2f, backward %.2f of the floor of fused kernels\n",
                to_string(dtype), traffic.forward.ratio(), traffic.backward.ratio());
    EXPECT_LE(traffic.total().ratio(), 3.0);
    EXPECT_GE(traffic.total().ratio(), 1.0);
    EXPECT_LE(bytes, 1.5 * floor) << "kernels name tensors more often than they must";
    EXPECT_LE(made.memory.arena_bytes, made.memory.lower_bound * 21 / 20);
    if (dtype == DType::f32) f32_bytes = made.memory.arena_bytes;
    EXPECT_LE(made.memory.arena_bytes, f32_bytes * (dtype == DType::f32 ? 100 : 52) / 100);
  }
}

// The optimizer writes them in 16 bits: no step converts weights, which are read where they lie.
TEST_F(CudaPlan, WeightsAreReadIn16BitsAsTheyAreKept) {
  const BackendPtr cuda = make_cuda_offers();
  const Graph graph = network("cifar10-darknet");
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    const Plan made = plan(*cuda, graph, dtype, 64);
    int read = 0;
    for (const PlanStep& step : made.steps) {
      const auto place = [&](TensorId id) { return made.tensors[made.root(id)].place; };
      if (step.kind == StepKind::reorder) {
        EXPECT_EQ(place(step.x[0]), Place::arena) << step.layer << ": " << step.kernel;
      }
      if (step.kind != StepKind::op || step.w.empty() || step.flops == 0) continue;
      const TensorDesc& w = made.tensors[step.w[0]].desc;
      const bool small = w.dtype != DType::f32;
      EXPECT_EQ(place(step.w[0]), small ? Place::rounded : Place::weight) << step.layer;
      EXPECT_EQ(w.dtype, small ? dtype : DType::f32);
      read += small ? 1 : 0;
    }
    // All but the head's, in both directions; the first layer has no gradient for its input.
    const int convolutions = static_cast<int>(
        std::count_if(graph.nodes.begin(), graph.nodes.end(),
                      [](const GraphNode& node) { return node.op->kind() == OpKind::conv2d; }));
    EXPECT_EQ(read, dtype == DType::f32 ? 0 : 2 * convolutions - 1);
  }
}

// Norm, sum and relu of a residual block are one kernel each way, and every convolution measures
// its output for the norm behind it.
TEST_F(CudaPlan, ResidualBlocksAreJoined) {
  const BackendPtr cuda = make_cuda_offers();
  const Graph graph = network("cifar10-resnet18");
  const Plan made = plan(*cuda, graph, DType::bf16, 128);
  int norms = 0, sums = 0, measuring = 0;
  for (std::size_t i = 0; i < made.steps.size(); ++i) {
    const PlanStep& step = made.steps[i];
    EXPECT_NE(step.op.substr(0, 3), "act") << step.layer;
    EXPECT_NE(step.op.substr(0, 3), "add") << step.layer;
    if (i >= made.forward_steps) continue;
    norms += step.op.substr(0, 9) == "batchnorm";
    sums += step.op.find("+ sum + relu") != std::string::npos;
    measuring += step.op.find("conv") == 0 && step.statistics != kNone;
  }
  EXPECT_EQ(sums, 8);
  EXPECT_EQ(norms, 20);
  EXPECT_EQ(measuring, norms);
}

// Eight blocks of a residual network have a norm with relu that one convolution alone reads: what
// it makes is neither written, nor read by itself, nor kept. Asked in f16 alone.
TEST_F(CudaPlan, NormsOnLoadTakeNoTensor) {
  const BackendPtr cuda = make_cuda_offers();
  const Graph graph = network("cifar10-resnet18");
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    const Plan apart = plan(*cuda, graph, dtype, 128);
    std::uint64_t tensors = 0;
    int joins = 0;
    const auto join = [&](const std::vector<KernelAsk>&, const std::vector<KernelAsk>& joined) {
      EXPECT_EQ(joined.size(), 3u);
      tensors += joined[0].query.inputs[0].bytes;
      ++joins;
      return true;
    };
    const Plan joined = plan(*cuda, graph, dtype, 128, join);
    EXPECT_EQ(joins, dtype == DType::f16 ? 8 : 0);
    if (joins == 0) continue;
    const Traffic before = plan_traffic(graph, apart), after = plan_traffic(graph, joined);
    const auto less = static_cast<double>(before.forward.moved - after.forward.moved);
    EXPECT_NEAR(less, 2.0 * static_cast<double>(tensors), 0.01 * less);
    EXPECT_NEAR(static_cast<double>(after.backward.moved),
                static_cast<double>(before.backward.moved), 0.001 * less);
    EXPECT_EQ(after.forward.floor, before.forward.floor);
    std::printf(
        "plan: %s, norms on load: forward moves %.2f of its floor instead of %.2f, arena %.0f "
        "MiB instead of %.0f\n",
        to_string(dtype), after.forward.ratio(), before.forward.ratio(),
        static_cast<double>(joined.memory.arena_bytes) / 1048576.0,
        static_cast<double>(apart.memory.arena_bytes) / 1048576.0);
    EXPECT_LT(joined.memory.arena_bytes + tensors * 9 / 10, apart.memory.arena_bytes);
  }
}

}  // namespace
}  // namespace daybreak
