#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "backend/cuda/context.h"
#include "core/error.h"

namespace daybreak::cuda {

/// A kernel made of a callable that takes the bindings; an error is reported with the op's name.
template <class Run>
class RunKernel final : public Kernel {
 public:
  RunKernel(std::string name, Run run) : name_(std::move(name)), run_(std::move(run)) {}
  void run(const Bindings& bindings) override {
    try {
      run_(bindings);
    } catch (const DeviceError& error) {
      throw DeviceError(name_ + ": " + error.what());
    }
  }

 private:
  std::string name_;
  Run run_;
};

template <class Run>
KernelPtr make_run_kernel(std::string name, Run run) {
  return std::make_unique<RunKernel<Run>>(std::move(name), std::move(run));
}

template <class T>
T* as(std::byte* pointer) {
  return reinterpret_cast<T*>(pointer);
}

/// Entry `i` of a list of pointers; null when the list is shorter or the entry is not wanted.
template <class T>
T* entry(const std::vector<std::byte*>& pointers, std::size_t i) {
  return i < pointers.size() ? as<T>(pointers[i]) : nullptr;
}

/// "conv 3x3 forward": what an error of a kernel says about where it happened.
std::string query_name(const KernelQuery& query);

/// The desc of `shape` in a layout of this backend.
TensorDesc make_desc(const Shape& shape, DType dtype, Layout layout);
/// The same tensor, channels last.
TensorDesc nhwc(const TensorDesc& desc);
TensorDesc plain(const TensorDesc& desc);

constexpr bool is_float(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f16;
}

/// True when element positions are equal in both: the same layout, or one channel or one pixel.
bool same_order(const TensorDesc& a, const TensorDesc& b);

/// An offer with the descs of the query, every activation turned to channels last.
KernelOffer nhwc_offer(const KernelQuery& query, std::string name);

/// Checks that input 0, the output and the parameters are of types that kernels here take.
bool float_types(const KernelQuery& query, std::string* reason);

inline void refuse(std::string* reason, std::string text) {
  if (reason != nullptr) *reason = std::move(text);
}

/// Rows (pixels of all samples) are counted in 32 bits; true when they fit.
bool rows_fit(const Shape& shape, std::string* reason);

/// Workspaces are cut into parts that start at multiples of this.
constexpr std::size_t kPartAlignment = 256;
constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
}
/// Room for `bytes` whatever the alignment of the workspace is.
constexpr std::size_t workspace_room(std::size_t bytes) {
  return bytes == 0 ? 0 : aligned(bytes) + kPartAlignment;
}
/// The first aligned byte of a workspace.
inline std::byte* workspace_begin(std::byte* workspace) {
  const auto address = reinterpret_cast<std::uintptr_t>(workspace);
  return workspace + (aligned(address) - address);
}

}  // namespace daybreak::cuda
