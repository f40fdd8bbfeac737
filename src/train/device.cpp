#include "train/device.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>

#include "backend/module.h"
#include "config/solver_config.h"
#include "core/error.h"
#include "core/text.h"
#include "layers/build_graph.h"
#include "plan/executor.h"
#include "train/session.h"

namespace daybreak {
namespace {

constexpr double kProbeTolerance = 1e-3;  // relative; rounding alone gives about 1e-6

struct ProbeResult {
  double loss = 0.0, gradient_norm = 0.0;
};

ProbeResult probe(Backend& backend) {
  constexpr int kBatch = 2, kClasses = 10;
  NetworkSpec net = load_network("builtin:cfg/net/lenet.yaml");
  use_placeholder_statistics(net.input);
  BuildOptions options;
  options.stand_in_classes = kClasses;
  Executor executor(build_graph(net, options), backend);
  const Graph& graph = executor.graph();
  PlanRequest request;
  request.batch = kBatch;
  request.keep = {graph.loss, graph.prediction};
  const PlanId plan = executor.add_plan(request);
  executor.prepare();
  executor.initialize(1);
  executor.set_optimizer({});
  executor.set_groups(executor.params().groups(std::vector<ParamKnobs>(graph.params.size())));
  const Shape& shape = executor.plan(plan).shapes[graph.input(InputRole::image)];
  std::vector<std::uint8_t> pictures(static_cast<std::size_t>(shape.count()));
  Draws draws(1, Purpose::synthetic, 0, 0);
  for (std::uint8_t& byte : pictures) byte = static_cast<std::uint8_t>(draws.below(256));
  const std::vector<std::int32_t> labels = {3, 7};
  executor.upload(plan, InputRole::image, pictures.data(), pictures.size());
  executor.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(labels[0]));
  executor.forward(plan);
  executor.backward(plan);
  return {executor.read_scalar(plan, graph.loss), executor.gradient_norm()};
}

bool close(double a, double b) {
  return std::abs(a - b) <= kProbeTolerance * std::abs(b);  // false for NaN
}

BackendPtr make_auto_backend(int threads, std::string& note) {
  std::string why;
  if (cuda_available(&why)) {
    try {
      BackendPtr backend = make_cuda_backend(0);
      check_backend_works(*backend);
      note = "GPU 0 computes (--device cpu takes the CPU)";
      return backend;
    } catch (const DeviceError& error) {
      why = error.what();
    }
  }
  note = "the CPU computes: " + why;
  return make_cpu_backend(threads);
}

}  // namespace

void check_backend_works(Backend& backend) {
  const ProbeResult there = probe(backend), here = probe(*make_cpu_backend(0));
  if (close(there.loss, here.loss) && close(there.gradient_norm, here.gradient_norm)) return;
  throw DeviceError(fmt::format(
      "{} computes wrongly: a small network gives loss {:.6g} and gradient norm {:.6g}, on the CPU "
      "{:.6g} and {:.6g}",
      backend.identity(), there.loss, there.gradient_norm, here.loss, here.gradient_norm));
}

Precision resolved(const Backend& backend, Precision precision) {
  if (precision != Precision::automatic) return precision;
  const bool native = backend.supports(DType::bf16) && backend.caution(DType::bf16).empty();
  return native && backend.name() != "ref" ? Precision::bf16 : Precision::f32;
}

DType activation_dtype(const Backend& backend, Precision wanted) {
  const Precision precision = resolved(backend, wanted);
  if (backend.name() == "ref" || precision == Precision::f32) return DType::f32;
  const DType dtype = precision == Precision::bf16 ? DType::bf16 : DType::f16;
  if (!backend.supports(dtype)) {
    throw ConfigError(
        fmt::format("precision {} is not available on {}; {}", to_string(dtype), backend.identity(),
                    dtype == DType::f16 ? "it needs a GPU (--device cuda)" : "use f32"));
  }
  const std::string caution = backend.caution(dtype);
  if (!caution.empty()) spdlog::warn("{}", caution);
  return dtype;
}

BackendPtr make_backend(const std::string& device, int threads, std::string* note) {
  if (device == "ref") return make_ref_backend();
  if (device == "cpu") return make_cpu_backend(threads);
  if (device == "auto") {
    std::string unread;
    return make_auto_backend(threads, note != nullptr ? *note : unread);
  }
  if (device == "cuda") return make_cuda_backend(0);
  const auto index = device.rfind("cuda:", 0) == 0 ? parse_int(device.substr(5)) : std::nullopt;
  if (index && *index >= 0 && *index < 1024) return make_cuda_backend(static_cast<int>(*index));
  throw ConfigError(fmt::format("device must be auto, cpu, cuda or cuda:N, found \"{}\"", device));
}

}  // namespace daybreak
