#include "plan/executor.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "core/error.h"
#include "graph/init.h"

namespace daybreak {
namespace {

OfferChoice first_offer(const KernelQuery&, const std::vector<KernelOffer>&) {
  return 0;
}

// An error of a kernel, with the layer it belongs to.
[[noreturn]] void rethrow_of(const PlanStep& step, const DeviceError& error) {
  throw DeviceError("layer \"" + step.layer + "\": " + error.what());
}

}  // namespace

Executor::Executor(Graph graph, Backend& backend, DType dtype)
    : graph_(std::move(graph)), backend_(backend), dtype_(dtype), params_(graph_, backend, dtype) {}

PlanId Executor::add_plan(const PlanRequest& request, const OfferChooser& choose,
                          const JoinChooser& join) {
  DAYBREAK_ASSERT(arena_ == nullptr);
  auto bound = std::make_unique<BoundPlan>();
  bound->plan = make_plan(graph_, backend_, request, params_.layouts(),
                          choose ? choose : OfferChooser(first_offer), join);
  arena_bytes_ = std::max(arena_bytes_, bound->plan.memory.arena_bytes);
  plans_.push_back(std::move(bound));
  return static_cast<PlanId>(plans_.size()) - 1;
}

int Executor::largest_batch() const {
  int largest = 0;
  for (const auto& bound : plans_) largest = std::max(largest, bound->plan.request.batch);
  return largest;
}

std::size_t Executor::arena_bytes_at(int most) {
  std::size_t bytes = 0;
  for (const auto& bound : plans_) {
    PlanRequest request = bound->plan.request;
    if (request.batch <= most) {
      bytes = std::max(bytes, bound->plan.memory.arena_bytes);
      continue;
    }
    request.batch = most;
    ParamLayouts layouts = params_.layouts();
    const Plan smaller = make_plan(graph_, backend_, request, layouts, first_offer);
    bytes = std::max(bytes, smaller.memory.arena_bytes);
  }
  return bytes;
}

void Executor::prepare() {
  params_.allocate();
  arena_ = backend_.allocate(std::max<std::size_t>(arena_bytes_, 1));
  constants_ = backend_.allocate(sizeof(double));
  scalar_memory_ = backend_.allocate(sizeof(StepScalars));
  const double one = 1.0;
  backend_.copy_in(constants_->data(), &one, sizeof(one));
  for (auto& plan : plans_) bind(*plan);
  restore_scalars(scalars_);
}

void Executor::initialize(std::uint64_t seed) {
  params_.write_weights([&](ParamId param, std::vector<float>& values) {
    initial_values(graph_.params[param], seed, values);
  });
}

std::byte* Executor::address(const Plan& plan, TensorId id) {
  if (id == kNone) return nullptr;
  const PlanTensor& tensor = plan.tensors[plan.root(id)];
  switch (tensor.place) {
    case Place::arena:
      return arena_->data() + tensor.offset;
    case Place::weight:
      return params_.weight(tensor.param);
    case Place::rounded:
      return params_.rounded_weight(tensor.param, tensor.desc.dtype);
    case Place::gradient:
      return params_.gradient(tensor.param);
    case Place::constant:  // what starts backward: the loss scale, kept on the device
      if (tensor.desc.dtype == DType::f64) return constants_->data();
      return scalar_memory_->data() + offsetof(StepScalars, loss_scale);
  }
  return nullptr;
}

void Executor::bind(BoundPlan& bound) {
  const Plan& plan = bound.plan;
  const auto addresses = [&](const std::vector<TensorId>& ids) {
    std::vector<std::byte*> result;
    for (TensorId id : ids) result.push_back(address(plan, id));
    return result;
  };
  for (const PlanStep& step : plan.steps) {
    BoundStep result;
    result.bindings.x = addresses(step.x);
    result.bindings.dx = addresses(step.dx);
    result.bindings.w = addresses(step.w);
    result.bindings.dw = addresses(step.dw);
    result.bindings.y = address(plan, step.y);
    result.bindings.dy = address(plan, step.dy);
    result.bindings.aux = address(plan, step.aux);
    result.bindings.statistics = address(plan, step.statistics);
    result.bindings.workspace = address(plan, step.workspace);
    result.bindings.scalars = device_scalars();
    try {
      result.kernel = step.make();
    } catch (const DeviceError& error) {
      rethrow_of(step, error);
    }
    bound.steps.push_back(std::move(result));
  }
}

void Executor::upload(PlanId id, InputRole role, const void* data, std::size_t bytes) {
  const Plan& plan = plans_[id]->plan;
  const ValueId value = graph_.input(role);
  DAYBREAK_ASSERT(value != kNone);
  const TensorId tensor = plan.value_tensor[value];
  DAYBREAK_ASSERT(plan.tensors[tensor].desc.bytes == bytes);
  backend_.send(address(plan, tensor), data, bytes);
}

std::byte* Executor::place(PlanId id, ValueId value) {
  if (value == kNone) return nullptr;
  const Plan& plan = plans_[id]->plan;
  return address(plan, plan.value_tensor[value]);
}

void Executor::run(PlanId id, std::size_t begin, std::size_t end) {
  BoundPlan& bound = *plans_[id];
  std::size_t i = begin;
  try {
    for (; i < end; ++i) bound.steps[i].kernel->run(bound.steps[i].bindings);
  } catch (const DeviceError& error) {
    rethrow_of(bound.plan.steps[i], error);
  }
}

void Executor::forward(PlanId id) {
  run(id, 0, plans_[id]->plan.forward_steps);
}

void Executor::backward(PlanId id) {
  run(id, plans_[id]->plan.forward_steps, plans_[id]->steps.size());
}

void Executor::read_tensor(PlanId id, TensorId tensor, std::vector<float>& out) {
  const Plan& plan = plans_[id]->plan;
  const TensorDesc& desc = plan.tensors[tensor].desc;
  const TensorDesc plain =
      plain_desc(desc.shape, desc.dtype == DType::f64 ? DType::f64 : DType::f32);
  out.resize(static_cast<std::size_t>(desc.shape.count()));
  std::byte* source = address(plan, tensor);
  MemoryPtr scratch;
  if (plain.dtype != desc.dtype || !backend_.same_bytes(desc, plain)) {
    scratch = backend_.allocate(plain.bytes);
    Bindings bindings;
    bindings.x = {source};
    bindings.y = scratch->data();
    backend_.reorder(desc, plain)->run(bindings);
    source = scratch->data();
  }
  backend_.synchronize();
  if (plain.dtype == DType::f64) {
    std::vector<double> wide(out.size());
    backend_.copy_out(wide.data(), source, plain.bytes);
    std::copy(wide.begin(), wide.end(), out.begin());
  } else {
    backend_.copy_out(out.data(), source, plain.bytes);
  }
}

void Executor::read(PlanId id, ValueId value, std::vector<float>& out) {
  const TensorId tensor = plans_[id]->plan.value_tensor[value];
  DAYBREAK_ASSERT(tensor != kNone);
  read_tensor(id, tensor, out);
}

void Executor::read_input_gradient(PlanId id, ValueId value, std::vector<float>& out) {
  const TensorId tensor = plans_[id]->plan.value_gradient[value];
  DAYBREAK_ASSERT(tensor != kNone);
  read_tensor(id, tensor, out);
}

double Executor::read_scalar(PlanId id, ValueId value) {
  const Plan& plan = plans_[id]->plan;
  const TensorId tensor = plan.value_tensor[value];
  const std::byte* source = address(plan, tensor);
  backend_.synchronize();
  if (plan.tensors[tensor].desc.dtype == DType::f64) {
    double result = 0.0;
    backend_.copy_out(&result, source, sizeof(result));
    return result;
  }
  float result = 0.0f;
  backend_.copy_out(&result, source, sizeof(result));
  return result;
}

void Executor::send_scalars() {
  backend_.send(scalar_memory_->data(), &scalars_, kHostScalarBytes);
}

const StepScalars& Executor::read_scalars() {
  backend_.synchronize();
  backend_.copy_out(reinterpret_cast<std::byte*>(&scalars_) + kHostScalarBytes,
                    scalar_memory_->data() + kHostScalarBytes, sizeof(scalars_) - kHostScalarBytes);
  return scalars_;
}

void Executor::restore_scalars(const StepScalars& scalars) {
  scalars_ = scalars;
  backend_.copy_in(scalar_memory_->data(), &scalars_, sizeof(scalars_));
}

void Executor::set_loss_scaling(const LossScaling& scaling) {
  StepScalars changed = read_scalars();
  if (scaling.on != (changed.guarded != 0)) {
    changed.loss_scale = scaling.on ? scaling.scale : 1.0f;
    changed.good_updates = 0;
  }
  const bool moves = scaling.on && scaling.dynamic;
  changed.guarded = scaling.on ? 1 : 0;
  changed.scale_growth = moves ? scaling.growth : 1.0f;
  changed.scale_backoff = moves ? scaling.backoff : 1.0f;
  changed.growth_interval = moves ? scaling.interval : 0;
  restore_scalars(changed);
}

void Executor::set_optimizer(const OptimizerAttrs& attrs) {
  const bool same_type = optimizer_attrs_ && optimizer_attrs_->kind == attrs.kind &&
                         optimizer_attrs_->slots() == attrs.slots();
  optimizer_ = backend_.optimizer(attrs, dtype_);
  if (!same_type) {
    params_.set_slots(attrs.slots());
    StepScalars fresh = read_scalars();
    fresh.update = 1;
    fresh.skipped = 0;
    restore_scalars(fresh);
  }
  optimizer_attrs_ = attrs;
  ++changes_;
}

float Executor::gradient_norm() {
  optimizer_->norm(params_.gradients_base(), groups_, device_scalars());
  return read_scalars().grad_norm;
}

void Executor::queue_update() {
  optimizer_->norm(params_.gradients_base(), groups_, device_scalars());
  run_update();
}

void Executor::run_update() {
  const std::vector<std::byte*> slots = params_.slot_bases();
  const std::vector<RoundedWeights> rounded = params_.rounded_bases();
  optimizer_->update({params_.weights_base(), params_.gradients_base(), slots, rounded}, groups_,
                     device_scalars());
}

void Executor::update() {
  run_update();
  // What the kernel does to its copy, without asking for it.
  finish_update(scalars_);
  ++scalars_.update;
}

void Executor::prepare_accumulation() {
  if (accumulated_) return;
  const TensorDesc desc =
      plain_desc({1, static_cast<int>(params_.trained_elements()), 1, 1}, dtype_);
  accumulated_ = backend_.allocate(desc.bytes);
  accumulate_ = backend_.accumulate(desc);
  copy_gradients_ = backend_.reorder(desc, desc);
}

void Executor::run_flat(Kernel& kernel, std::byte* from, std::byte* to) {
  Bindings bindings;
  bindings.x = {from};
  bindings.y = to;
  kernel.run(bindings);
}

void Executor::start_accumulation() {
  run_flat(*copy_gradients_, params_.gradients_base(), accumulated_->data());
}

void Executor::accumulate_gradients() {
  run_flat(*accumulate_, params_.gradients_base(), accumulated_->data());
}

void Executor::finish_accumulation() {
  run_flat(*copy_gradients_, accumulated_->data(), params_.gradients_base());
}

std::vector<StepTime> Executor::profile(PlanId id, int rounds) {
  using Clock = std::chrono::steady_clock;
  BoundPlan& bound = *plans_[id];
  std::vector<std::vector<double>> seconds(bound.steps.size());
  for (int round = 0; round <= rounds; ++round) {  // the first round warms up
    for (std::size_t i = 0; i < bound.steps.size(); ++i) {
      backend_.synchronize();
      const auto start = Clock::now();
      bound.steps[i].kernel->run(bound.steps[i].bindings);
      backend_.synchronize();
      const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
      if (round > 0) seconds[i].push_back(elapsed);
    }
  }
  std::vector<StepTime> result;
  for (std::size_t i = 0; i < bound.steps.size(); ++i) {
    auto& times = seconds[i];
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    result.push_back({&bound.plan.steps[i], times[times.size() / 2]});
  }
  return result;
}

}  // namespace daybreak
