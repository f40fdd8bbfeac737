#pragma once

#include <cudnn_graph.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/conv_problem.h"

// A thin layer over cuDNN 9's backend graph API: descriptors that free themselves, one-operation
// convolution graphs, engines asked of the heuristics, execution plans.
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

/// The descriptors of a one-operation graph; kept alive as long as a plan made from it.
struct ConvGraph {
  Descriptor x, w, y, convolution, operation, graph;
};

/// An engine that can run a problem, prepared.
struct ConvPlan {
  std::string name;  ///< "cudnn:eng47": the engine's global index
  std::size_t workspace_bytes = 0;
  std::shared_ptr<const ConvGraph> graph;
  Descriptor config, plan;
};
using ConvPlanPtr = std::shared_ptr<const ConvPlan>;

/// Runs a plan on the context's stream. The list of pointers is kept between calls and made anew
/// only when an address changes.
class ConvRunner {
 public:
  explicit ConvRunner(ConvPlanPtr plan) : plan_(std::move(plan)) {}
  void run(const Context& context, void* x, void* w, void* y, void* workspace);

 private:
  ConvPlanPtr plan_;
  Descriptor pack_;
  void* bound_[4] = {};
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
const ConvPlans& find_conv_plans(const Context& context, const ConvProblem& problem);

}  // namespace daybreak::cuda
