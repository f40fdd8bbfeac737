#include "cli/bench_net.h"

#include <chrono>
#include <span>

#include "backend/cpu/machine_probe.h"
#include "core/parallel.h"
#include "core/philox.h"
#include "core/text.h"
#include "layers/build_graph.h"
#include "plan/describe.h"
#include "plan/memory_check.h"
#include "train/device.h"
#include "train/session.h"
#include "train/weights.h"

namespace daybreak {
namespace {

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

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

double fma_peak(KernelChooser& chooser, int threads) {
  static constexpr const char* kName = "fma_gflops";
  if (const auto known = chooser.cache().figure(kName)) return *known;
  const double peak = probe_fma_gflops(threads, 0.2);
  chooser.cache().put_figure(kName, peak);
  return peak;
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
    : BenchNet(load_network(net_path, common.sets), common, mode, batch, height, width) {}

BenchNet::BenchNet(NetworkSpec net, const CommonOptions& common, Mode mode, int batch, int height,
                   int width)
    : mode_(mode), batch_(batch), threads_(common.threads > 0 ? common.threads : usable_cores()) {
  set_compute_threads(threads_);
  use_placeholder_statistics(net.input);
  backend_ = make_backend(common.device.empty() ? "auto" : common.device, threads_);
  BuildOptions options;
  options.stand_in_classes = 10;
  options.with_loss = mode == Mode::train;
  executor_ = std::make_unique<Executor>(build_graph(net, options), *backend_);
  const DType dtype = activation_dtype(*backend_, common.precision_value());
  chooser_ = std::make_unique<KernelChooser>(
      *backend_, chooser_options(tune_mode(common, TuneMode::on), conv_choice(common), true));
  plan_ = executor_->add_plan(plan_request(executor_->graph(), mode, batch, height, width, dtype),
                              chooser_->chooser(), chooser_->joiner());
  chooser_->finish();
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
  executor_->scalars().lr =
      0.001f;  // small: first losses must not drown in rounding, see bench/compare.py
  executor_->scalars().momentum = 0.9f;
  executor_->set_loss_scaling({.on = dtype == DType::f16});
  runner_ = std::make_unique<StepRunner>(*executor_);
}

void BenchNet::fill_inputs(int classes) {
  Draws draws(1, Purpose::synthetic, 0, 0);
  for (const GraphInput& input : executor_->graph().inputs) {
    const TensorId tensor = executor_->plan(plan_).value_tensor[input.value];
    const TensorDesc& desc = executor_->plan(plan_).tensors[tensor].desc;
    const Shape& shape = desc.shape;
    const auto count = static_cast<std::size_t>(shape.count());
    Input made{"input." + executor_->graph().values[input.value].name,
               TensorType::f32,
               {shape.n, shape.c, shape.h, shape.w},
               {}};
    if (desc.dtype == DType::u8) {
      made.type = TensorType::u8;
      made.dims = {shape.n, shape.h, shape.w, shape.c};
      made.bytes.resize(count);
      for (std::byte& byte : made.bytes) byte = static_cast<std::byte>(draws.below(256));
    } else if (desc.dtype == DType::i32) {
      made.type = TensorType::i32;
      made.dims = {shape.n};
      std::vector<std::int32_t> labels(count);
      for (auto& label : labels) {
        label = static_cast<std::int32_t>(draws.below(static_cast<std::uint32_t>(classes)));
      }
      made.bytes = bytes_of(labels);
    } else {
      std::vector<float> values(count);
      for (float& value : values) value = draws.uniform();
      made.bytes = bytes_of(values);
    }
    executor_->upload(plan_, input.role, made.bytes.data(), made.bytes.size());
    inputs_.push_back(std::move(made));
  }
}

void BenchNet::dump(const std::string& path) {
  const std::vector<NamedTensor> weights = read_weights(*executor_);
  std::vector<TensorView> views;
  for (const NamedTensor& weight : weights) {
    views.push_back(
        {weight.name, TensorType::f32, weight.dims, std::as_bytes(std::span(weight.values))});
  }
  for (const Input& input : inputs_) {
    views.push_back({input.name, input.type, input.dims, input.bytes});
  }
  write_safetensors(path, views, {{"format", "daybreak-bench 1"}});
}

void BenchNet::step() {
  if (mode_ == Mode::eval) return executor_->forward(plan_);
  if (runner_->queued() == StepRunner::most()) collect();
  runner_->queue({plan_});
}

void BenchNet::wait() {
  if (mode_ == Mode::train) collect();
  backend_->synchronize();
}

void BenchNet::collect() {
  for (const StepRecord& record : runner_->read()) {
    if (losses_.size() < kMostLosses) losses_.push_back(record.loss);
  }
}

std::vector<double> BenchNet::timed_steps(int count) {
  using Clock = std::chrono::steady_clock;
  const int at_once = backend_->can_record() ? count : 1;
  std::vector<double> seconds;
  while (static_cast<int>(seconds.size()) < count) {
    const auto begin = Clock::now();
    for (int i = 0; i < at_once; ++i) step();
    wait();
    const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
    seconds.insert(seconds.end(), static_cast<std::size_t>(at_once), spent / at_once);
  }
  return seconds;
}

std::size_t BenchNet::device_bytes() const {
  const int slots = mode_ == Mode::train ? OptimizerAttrs{}.slots() : 0;
  return memory_need(*executor_, slots, /*accumulates=*/false).total();
}

PassTraffic BenchNet::traffic() const {
  Traffic traffic = plan_traffic(executor_->graph(), executor_->plan(plan_));
  if (mode_ == Mode::train) {
    traffic.update = update_traffic(executor_->param_bytes(), OptimizerAttrs{}.slots());
  }
  return traffic.total();
}

double BenchNet::flops_per_step() const {
  double flops = 0.0;
  for (const LayerSummary& layer : summarize(executor_->graph(), executor_->plan(plan_))) {
    flops += static_cast<double>(layer.flops);
  }
  return flops * batch_ * (mode_ == Mode::train ? 3.0 : 1.0);
}

}  // namespace daybreak
