#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "graph/graph.h"
#include "plan/param_store.h"
#include "plan/plan.h"
#include "plan/planner.h"

namespace daybreak {

using PlanId = int;

/// Seconds spent in one kernel, from Executor::profile.
struct StepTime {
  const PlanStep* step = nullptr;
  double seconds = 0.0;
};

/// Runs the plans of one network on one backend. Usage: add_plan for everything that will be
/// needed, then prepare() once; after that nothing is allocated any more.
class Executor {
 public:
  /// `dtype`: of the parameters (f32; f64 on the reference backend).
  Executor(Graph graph, Backend& backend, DType dtype = DType::f32);

  /// Plans a request. The first training plan decides how parameters lie in memory.
  PlanId add_plan(const PlanRequest& request, const OfferChooser& choose = {},
                  const JoinChooser& join = {});
  /// Allocates the arena and the parameters and makes all kernels. Throws DeviceError when the
  /// memory cannot be had.
  void prepare();
  /// Fills every parameter by its initialisation, keyed by name and seed.
  void initialize(std::uint64_t seed);

  /// Copies a graph input to its place: u8 pictures [N, H, W, C], i32 labels [N], f32 targets;
  /// without waiting for work that is queued, where the backend can.
  void upload(PlanId plan, InputRole role, const void* data, std::size_t bytes);
  void forward(PlanId plan);
  void backward(PlanId plan);
  /// A kept value as plain f32 [N, C, H, W].
  void read(PlanId plan, ValueId value, std::vector<float>& out);
  /// The gradient of a graph input, when the plan was asked for it.
  void read_input_gradient(PlanId plan, ValueId value, std::vector<float>& out);
  double read_scalar(PlanId plan, ValueId value);
  /// Where a kept value or a graph input lies on the device; null when the plan has none.
  std::byte* place(PlanId plan, ValueId value);

  /// Step, lr, momentum, ...: the host's part is sent to the backend by send_scalars(); the part
  /// that kernels keep is up to date after read_scalars() and gradient_norm().
  StepScalars& scalars() { return scalars_; }
  void send_scalars();
  const StepScalars& read_scalars();
  /// Replaces both parts, to go on from an earlier state.
  void restore_scalars(const StepScalars& scalars);
  /// Starts the loss scale, or switches it off; kept when it is on already.
  void set_loss_scaling(const LossScaling& scaling);

  /// Chooses the optimizer; its slots are dropped and zeroed unless it keeps the same type.
  void set_optimizer(const OptimizerAttrs& attrs);
  void set_groups(std::vector<UpdateGroup> groups) {
    groups_ = std::move(groups);
    ++changes_;
  }
  /// The global gradient norm, before clipping and without the loss scale.
  float gradient_norm();
  /// Updates the weights, unless skips_update(scalars()); moves the loss scale.
  void update();
  /// Norm and update are queued and nothing is read: count_update() then says that one was made.
  void queue_update();
  void count_update() { ++scalars_.update; }
  /// Rises whenever work that was recorded before would no longer be right: another optimizer,
  /// other groups.
  int changes() const { return changes_; }
  StepScalars* device_scalars() { return reinterpret_cast<StepScalars*>(scalar_memory_->data()); }
  /// Micro-batches: the gradients of the first start a sum, those of the others are added, and
  /// finish_accumulation makes the sum the gradient. Memory is taken by prepare_accumulation.
  void prepare_accumulation();
  void start_accumulation();
  void accumulate_gradients();
  void finish_accumulation();

  const Graph& graph() const { return graph_; }
  Backend& backend() { return backend_; }
  DType param_dtype() const { return dtype_; }
  ParamStore& params() { return params_; }
  const Plan& plan(PlanId id) const { return plans_[id]->plan; }
  std::size_t arena_bytes() const { return arena_bytes_; }
  /// The arena's bytes if no plan had a batch larger than `most`; plans anew where one has.
  std::size_t arena_bytes_at(int most);
  int largest_batch() const;
  ParamBytes param_bytes() const { return params_.planned_bytes(); }
  const std::optional<OptimizerAttrs>& optimizer() const { return optimizer_attrs_; }

  /// Seconds of every step of a plan: medians over `rounds` runs on whatever the arena holds.
  std::vector<StepTime> profile(PlanId plan, int rounds);

 private:
  struct BoundStep {
    KernelPtr kernel;
    Bindings bindings;
  };
  struct BoundPlan {
    Plan plan;
    std::vector<BoundStep> steps;
  };

  std::byte* address(const Plan& plan, TensorId id);
  void bind(BoundPlan& bound);
  void run_update();
  void run(PlanId plan, std::size_t begin, std::size_t end);
  void read_tensor(PlanId plan, TensorId id, std::vector<float>& out);

  Graph graph_;
  Backend& backend_;
  DType dtype_;
  ParamStore params_;
  std::vector<std::unique_ptr<BoundPlan>> plans_;
  MemoryPtr arena_, constants_, scalar_memory_, accumulated_;
  std::size_t arena_bytes_ = 0;
  StepScalars scalars_;
  std::optional<OptimizerAttrs> optimizer_attrs_;
  std::unique_ptr<UpdateKernel> optimizer_;
  std::vector<UpdateGroup> groups_;
  int changes_ = 0;
  KernelPtr accumulate_, copy_gradients_;

  void run_flat(Kernel& kernel, std::byte* from, std::byte* to);
};

}  // namespace daybreak
