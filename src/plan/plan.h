#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "graph/graph.h"

namespace daybreak {

/// What a plan is made for. Every size is fixed: another batch or picture size is another plan.
struct PlanRequest {
  Mode mode = Mode::train;
  int batch = 1;
  int height = 0, width = 0;    ///< of the pictures; 0: the network's own
  DType dtype = DType::f32;     ///< of activations and their gradients
  std::vector<bool> frozen;     ///< by ParamId; empty: nothing is frozen
  std::vector<ValueId> keep;    ///< readable after a run: prediction, loss, ...
  bool input_gradient = false;  ///< also compute the gradient of float graph inputs
  bool fuse = true;
};

using TensorId = int;

/// rounded: a weight in 16 bits, written by the optimizer (RoundedWeights).
/// constant: the scalar 1 that starts backward, kept by the executor.
enum class Place : std::uint8_t { arena, weight, rounded, gradient, constant };

/// A tensor of a plan: activations, gradients, workspaces (arena) or a parameter and its gradient.
struct PlanTensor {
  std::string name;
  TensorDesc desc;
  Place place = Place::arena;
  ParamId param = kNone;      ///< for weight, rounded and gradient
  TensorId alias_of = kNone;  ///< shares the memory of that tensor (an identity, or in place)
  std::size_t offset = 0;     ///< in the arena
  int first = -1, last = -1;  ///< steps of first write and last use, aliases included
  bool pinned = false;        ///< readable after the run: lives to the last step
};

enum class StepKind : std::uint8_t { op, reorder, accumulate };

/// One kernel call. Steps run in order; the backward ones follow the forward ones.
struct PlanStep {
  StepKind kind = StepKind::op;
  std::string layer;
  std::string op;                 ///< "conv 3x3", "reorder", ...
  std::string kernel;             ///< name of the chosen offer
  double measured_seconds = 0.0;  ///< when it was chosen, reorders included; 0: not measured
  std::int64_t flops = 0;         ///< of convolutions and linear layers, zero border included
  Pass pass = Pass::forward;
  NodeId node = kNone;
  std::vector<TensorId> x, dx, w, dw;
  TensorId y = kNone, dy = kNone, aux = kNone, workspace = kNone;
  TensorId statistics = kNone;  ///< given or taken (Op::statistics, Conv2d::chain)
  bool in_place = false;        ///< y may share memory with x[0], or dx[0] with dy
  std::function<KernelPtr()> make;
};

struct MemoryReport {
  std::size_t arena_bytes = 0;  ///< what the placement needs
  std::size_t lower_bound = 0;  ///< largest sum of tensors alive at one step
  std::size_t naive_bytes = 0;  ///< every tensor by itself
};

/// Steps, layouts and offsets for one request: plain data until the executor binds it to memory.
struct Plan {
  PlanRequest request;
  std::vector<Shape> shapes;  ///< of every graph value, for this request
  std::vector<PlanTensor> tensors;
  std::vector<PlanStep> steps;
  std::size_t forward_steps = 0;       ///< steps before this index are the forward pass
  std::vector<TensorId> value_tensor;  ///< tensor of every graph value; kNone if it was fused away
  std::vector<TensorId> value_gradient;
  TensorId loss_gradient = kNone;  ///< {1, 1, 1, 1}: set by the executor before backward
  MemoryReport memory;

  /// The tensor that owns the memory of `id`.
  TensorId root(TensorId id) const;
};

}  // namespace daybreak
