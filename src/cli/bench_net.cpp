#include "cli/bench_net.h"

#include "core/parallel.h"
#include "core/philox.h"
#include "core/text.h"
#include "layers/build_graph.h"
#include "plan/describe.h"
#include "plan/memory_check.h"
#include "train/device.h"
#include "train/session.h"

namespace daybreak {

PlanRequest plan_request(const Graph& graph, Mode mode, int batch, int height, int width,
                         DType dtype) {
  PlanRequest request;
  request.dtype = dtype;
  request.mode = mode;
  request.batch = batch;
  request.height = height;
  request.width = width;
  request.keep = {graph.prediction};
  if (mode == Mode::train) {
    if (graph.loss == kNone) {
      throw ConfigError("network \"" + graph.name +
                        "\" has no loss layer, so it cannot be trained");
    }
    request.keep.push_back(graph.loss);
    if (graph.topk != kNone) request.keep.push_back(graph.topk);
  }
  return request;
}

std::pair<int, int> parse_size(const std::string& text) {
  if (text.empty()) return {0, 0};
  const std::size_t x = text.find('x');
  const auto height = parse_int(text.substr(0, x));
  const auto width = x == std::string::npos ? height : parse_int(text.substr(x + 1));
  if (!height || !width || *height < 1 || *width < 1 || *height > 16384 || *width > 16384) {
    throw ConfigError("--size must be HxW, such as 224x224, found \"" + text + "\"");
  }
  return {static_cast<int>(*height), static_cast<int>(*width)};
}

BenchNet::BenchNet(const std::string& net_path, const CommonOptions& common, Mode mode, int batch,
                   int height, int width)
    : mode_(mode), batch_(batch), threads_(common.threads > 0 ? common.threads : usable_cores()) {
  set_compute_threads(threads_);
  NetworkSpec net = load_network(net_path, common.sets);
  use_placeholder_statistics(net.input);
  backend_ = make_backend(common.device.empty() ? "auto" : common.device, threads_);
  BuildOptions options;
  options.stand_in_classes = 10;
  options.with_loss = mode == Mode::train;
  executor_ = std::make_unique<Executor>(build_graph(net, options), *backend_);
  const DType dtype = activation_dtype(*backend_, common.precision_value());
  plan_ = executor_->add_plan(plan_request(executor_->graph(), mode, batch, height, width, dtype));
  check_memory(*executor_, mode == Mode::train ? OptimizerAttrs{}.slots() : 0,
               /*accumulates=*/false);
  executor_->prepare();
  executor_->initialize(common.seed.value_or(1));
  fill_inputs(std::max(1, executor_->plan(plan_).shapes[executor_->graph().prediction].c));
  if (mode == Mode::eval) return;
  executor_->set_optimizer({});
  std::vector<ParamKnobs> knobs(executor_->graph().params.size());
  for (ParamKnobs& knob : knobs) knob.weight_decay = 1e-4f;
  executor_->set_groups(executor_->params().groups(knobs));
  executor_->scalars().lr = 0.01f;
  executor_->scalars().momentum = 0.9f;
}

void BenchNet::fill_inputs(int classes) {
  Draws draws(1, Purpose::synthetic, 0, 0);
  for (const GraphInput& input : executor_->graph().inputs) {
    const TensorId tensor = executor_->plan(plan_).value_tensor[input.value];
    const TensorDesc& desc = executor_->plan(plan_).tensors[tensor].desc;
    const std::size_t count = static_cast<std::size_t>(desc.shape.count());
    if (desc.dtype == DType::u8) {
      std::vector<std::uint8_t> bytes(count);
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(draws.below(256));
      executor_->upload(plan_, input.role, bytes.data(), bytes.size());
    } else if (desc.dtype == DType::i32) {
      std::vector<std::int32_t> labels(count);
      for (auto& label : labels) {
        label = static_cast<std::int32_t>(draws.below(static_cast<std::uint32_t>(classes)));
      }
      executor_->upload(plan_, input.role, labels.data(), count * sizeof(labels[0]));
    } else {
      std::vector<float> values(count);
      for (float& value : values) value = draws.uniform();
      executor_->upload(plan_, input.role, values.data(), count * sizeof(values[0]));
    }
  }
}

void BenchNet::step() {
  if (mode_ == Mode::train) executor_->send_scalars();
  executor_->forward(plan_);
  if (mode_ == Mode::eval) {
    backend_->synchronize();
    return;
  }
  executor_->backward(plan_);
  executor_->gradient_norm();
  executor_->update();
  backend_->synchronize();
}

double BenchNet::loss() {
  return executor_->read_scalar(plan_, executor_->graph().loss);
}

double BenchNet::flops_per_step() const {
  double flops = 0.0;
  for (const LayerSummary& layer : summarize(executor_->graph(), executor_->plan(plan_))) {
    flops += static_cast<double>(layer.flops);
  }
  return flops * batch_ * (mode_ == Mode::train ? 3.0 : 1.0);
}

}  // namespace daybreak
