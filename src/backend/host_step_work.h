#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "backend/backend.h"

namespace daybreak {

/// Backend::step_work for backends whose memory is the host's.
template <typename T>
class HostStepWork final : public Kernel {
 public:
  explicit HostStepWork(StepWork work) : work_(work) {}
  void run(const Bindings& b) override {
    if (work_ == StepWork::end) {
      end_step(*b.scalars, reinterpret_cast<StepRecord*>(b.y));
      return;
    }
    const T loss = *reinterpret_cast<const T*>(b.x[0]);
    const T hits = b.x[1] != nullptr ? *reinterpret_cast<const T*>(b.x[1]) : T(0);
    take_batch(*b.scalars, loss, hits, work_ == StepWork::first_batch);
  }

 private:
  StepWork work_;
};

inline KernelPtr make_host_step_work(StepWork work, DType dtype) {
  if (dtype == DType::f64) return std::make_unique<HostStepWork<double>>(work);
  return std::make_unique<HostStepWork<float>>(work);
}

/// Backend::row_keeper for the same.
class HostRowKeeper final : public Kernel {
 public:
  explicit HostRowKeeper(const RowRecipe& recipe) : recipe_(recipe) {}
  void run(const Bindings& b) override {
    const std::size_t row = static_cast<std::size_t>(recipe_.columns) * sizeof(float);
    const std::uint64_t first = b.scalars->first_sample % recipe_.capacity;
    std::copy_n(b.x[0], row * static_cast<std::size_t>(recipe_.rows), b.y + first * row);
  }

 private:
  RowRecipe recipe_;
};

}  // namespace daybreak
