#pragma once

#include <cudnn_graph.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/conv_problem.h"

// A thin layer over cuDNN 9's backend graph API: descriptors that free themselves, graphs of a
// convolution and its epilogue, engines asked of the heuristics, execution plans.
namespace daybreak::cuda {

/// Owns one cuDNN descriptor. The setters throw DeviceError with the call that failed.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  cudnnBackendDescriptor_t raw() const { return raw_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, std::int64_t value);
  void set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values);
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  void set(cudnnBackendAttributeName_t name, const Descriptor& value);
  void finalize();
  /// The status instead of an exception, for what may simply be unsupported.
  cudnnStatus_t try_finalize();

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

/// The descriptors of a graph; kept alive as long as a plan made from it.
struct ConvGraph {
  Descriptor x, w, y, convolution, operation;
  std::deque<Descriptor> joined;  ///< tensors, attributes and operations of what is fused
  std::vector<cudnnBackendDescriptor_t> operations;
  Descriptor graph;

  const Descriptor& keep(Descriptor descriptor);
  /// Finalizes an operation and puts it behind those that are there.
  void append(Descriptor more);
};

/// An engine that can run a problem.
struct ConvPlan {
  std::string name;  ///< "cudnn:eng47": the engine's global index; "+..." for what it fuses
  std::size_t workspace_bytes = 0;
  bool compiles = false;  ///< a kernel, when it is finished
  bool loads = false;     ///< as ConvProblem::loads
  ConvEpilogue epilogue;
  std::shared_ptr<const ConvGraph> graph;
  Descriptor config;
  Descriptor plan;       ///< empty until finished
  bool refused = false;  ///< cuDNN has not made a plan of it

  /// Makes what a proposed engine still lacks, which may compile a kernel; false when cuDNN refuses
  /// after all, or wants more scratch than it has said.
  bool finish(const Context& context);
};
using ConvPlanPtr = std::shared_ptr<ConvPlan>;

/// Addresses of a problem's tensors; those that it does not have are null.
struct ConvTensors {
  void *x = nullptr, *w = nullptr, *y = nullptr;
  void *bias = nullptr, *residual = nullptr;
  void *sums = nullptr, *squares = nullptr;  ///< what statistics are made of
  /// Of a chain: the norm's input, its numbers of channels, sums of g and of g * xhat, and what
  /// cuDNN writes besides. Of ConvProblem::loads: scale and shift.
  void *norm_input = nullptr, *mean = nullptr, *inverse = nullptr;
  void *scale = nullptr, *shift = nullptr, *sum_g = nullptr, *sum_gx = nullptr;
  void* unused[3] = {};

  bool operator==(const ConvTensors&) const = default;
};

/// Runs a plan that is finished on the context's stream. The list of pointers is kept between calls
/// and made anew only when an address changes.
class ConvRunner {
 public:
  explicit ConvRunner(ConvPlanPtr plan) : plan_(std::move(plan)) {}
  void run(const Context& context, const ConvTensors& tensors, void* workspace);

 private:
  Descriptor make_pack(const ConvTensors& tensors, void* workspace) const;

  ConvPlanPtr plan_;
  Descriptor pack_;
  ConvTensors bound_;
  void* bound_workspace_ = nullptr;
};

/// What cuDNN has said about a problem.
struct ConvPlans {
  std::vector<ConvPlanPtr> plans;
  std::string reason;  ///< why there are none
};

/// Answers by problem. Making a plan may compile a kernel, so none is made twice.
class ConvPlanCache {
 public:
  std::map<ConvProblem, ConvPlans> found;
};

/// Up to Context::max_engines() engines for a problem, best guess first: deterministic ones that
/// keep the precision of the type (no Winograd, no FFT; no TF32 unless the context allows it).
/// Those that compile their kernels come last. On a GPU only the first is finished, and where they
/// are to fuse none: ConvPlan::finish is for whoever measures or takes one.
const ConvPlans& find_conv_plans(const Context& context, const ConvProblem& problem);

/// A GPU as cuDNN wants it described where there is none: an H100.
Descriptor describe_h100();

/// Names of the tensors within a graph.
enum TensorName : std::int64_t {
  kX = 1,
  kW,
  kY,
  kBias,
  kResidual,
  kSums,
  kSquares,
  kNormInput,
  kMean,
  kInverse,
  kScale,
  kShift,
  kSumG,
  kSumGx,
  kUnused,         ///< and the two behind it
  kBetween = 100,  ///< and those behind it
  kLoaded = 200    ///< and those behind it: on the way to the convolution's input
};

enum class TensorUse : std::uint8_t { stored, between };  // operations: never in memory
Descriptor make_tensor(std::int64_t name, const Shape& shape, DType dtype, Layout layout,
                       TensorUse use = TensorUse::stored);

/// `slope`: of a leaky relu.
Descriptor pointwise_attributes(cudnnPointwiseMode_t mode, double slope = 0.0);

/// Appends the operations of ConvProblem::loads; returns the convolution's input.
const Descriptor& add_prologue(const ConvProblem& problem, ConvGraph& graph);
/// Appends the operations that lead from the convolution's `sums` to graph.y (forward) or graph.x
/// (data gradient), or to statistics.
void add_epilogue(const ConvProblem& problem, const Descriptor& sums, ConvGraph& graph);

}  // namespace daybreak::cuda
