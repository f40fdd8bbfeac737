#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/context.h"

namespace daybreak {

/// A kernel that is one function object, called with the bindings.
template <typename Body>
class CpuKernel final : public Kernel {
 public:
  explicit CpuKernel(Body body) : body_(std::move(body)) {}
  void run(const Bindings& bindings) override { body_(bindings); }

 private:
  Body body_;
};

template <typename T = float>
T* as(std::byte* pointer) {
  return reinterpret_cast<T*>(pointer);
}

/// Entry `i` of a list of pointers; null when the list is shorter or the entry is not wanted.
template <typename T = float>
T* entry(const std::vector<std::byte*>& pointers, std::size_t i) {
  return i < pointers.size() ? as<T>(pointers[i]) : nullptr;
}

/// The layout an own kernel works in: that of the first input, and in backward passes that of the
/// output's gradient (which the forward kernel fixed); blocked for layouts only oneDNN knows.
Layout own_layout(const KernelQuery& query);

/// An offer of our own: floating tensors in `layout`, integers and parameters as plain as they
/// come. `body` is called with the bindings.
template <typename Body>
KernelOffer own_offer(const CpuContext& context, const KernelQuery& query, const std::string& name,
                      Layout layout, Body body) {
  KernelOffer offer;
  offer.name = "own:" + name;
  for (const TensorDesc& desc : query.inputs) {
    const bool integer = desc.dtype == DType::u8 || desc.dtype == DType::i32;
    offer.inputs.push_back(integer ? desc : context.with_layout(desc, layout));
  }
  offer.output = context.with_layout(query.output, layout);
  for (const TensorDesc& desc : query.params) {
    offer.params.push_back(plain_desc(desc.shape, desc.dtype));
  }
  offer.make = [body = std::move(body)]() -> KernelPtr {
    return std::make_unique<CpuKernel<Body>>(body);
  };
  return offer;
}

/// Throws DataError unless all labels name a class.
void check_labels(const std::int32_t* labels, int samples, int classes);

/// Elements from which work is shared: below, a barrier costs more than it saves.
constexpr std::int64_t kGrain = 16384;

}  // namespace daybreak
