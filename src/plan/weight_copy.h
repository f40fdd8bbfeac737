#pragma once

#include "plan/param_store.h"

namespace daybreak {

/// A second set of all parameters and running statistics, in the order and layout of the store's:
/// an average of the weights over time. Nothing but the constructor allocates memory.
class WeightCopy {
 public:
  /// Holds nothing useful before take() or write(). Both arguments must outlive it.
  WeightCopy(ParamStore& params, Backend& backend)
      : params_(params),
        backend_(backend),
        memory_(backend.allocate(std::max<std::size_t>(1, params.all_elements()) *
                                 element_size(params.dtype()))) {}

  /// Becomes what the weights are.
  void take() { blend(memory_->data(), params_.weights_base(), 1.0); }
  /// Moves this share of the way to the weights.
  void follow(double share) { blend(memory_->data(), params_.weights_base(), share); }
  /// The weights become what this is.
  void give() {
    blend(params_.weights_base(), memory_->data(), 1.0);
    params_.round_all();
  }
  /// Exchanges both.
  void exchange() {
    backend_.exchange(params_.weights_base(), memory_->data(), params_.all_elements(),
                      params_.dtype());
    params_.round_all();
  }

  std::vector<float> read(ParamId param) { return params_.read_at(memory_->data(), param); }
  void write(ParamId param, std::span<const float> values) {
    params_.write_at(memory_->data(), param, values);
  }

 private:
  void blend(std::byte* average, const std::byte* values, double share) {
    backend_.blend(average, values, params_.all_elements(), params_.dtype(), share);
  }

  ParamStore& params_;
  Backend& backend_;
  MemoryPtr memory_;
};

}  // namespace daybreak
