#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace daybreak {

/// Calls body(float{}) or body(double{}), whichever `dtype` says; it must be one of the two.
template <typename Body>
auto dispatch_float(DType dtype, Body&& body) {
  return dtype == DType::f64 ? body(double{}) : body(float{});
}

/// A kernel that is one function object called with a tag of the element type.
template <typename T, typename Body>
class RefKernel final : public Kernel {
 public:
  explicit RefKernel(Body body) : body_(std::move(body)) {}
  void run(const Bindings& bindings) override { body_(T{}, bindings); }

 private:
  Body body_;
};

template <typename T>
T* as(std::byte* pointer) {
  return reinterpret_cast<T*>(pointer);
}

/// Entry `i` of a list of pointers; null when the list is shorter or the entry is not wanted.
template <typename T>
T* entry(const std::vector<std::byte*>& pointers, std::size_t i) {
  return i < pointers.size() ? as<T>(pointers[i]) : nullptr;
}

/// The element type a query is about: that of the first input, or of the output for pictures.
inline DType ref_dtype(const KernelQuery& query) {
  return query.op->kind() == OpKind::input_u8 ? query.output.dtype : query.inputs[0].dtype;
}

/// The plain-loop kernel of an op: plain tensors of one floating type, integer inputs as they come.
/// `body` is a generic function object called as body(T{}, bindings), T being float or double.
template <typename Body>
KernelOffer ref_offer(const KernelQuery& query, Reads reads, Body body) {
  const DType dtype = ref_dtype(query);
  KernelOffer offer;
  offer.name = "ref";
  for (const TensorDesc& desc : query.inputs) {
    const bool integer = desc.dtype == DType::u8 || desc.dtype == DType::i32;
    offer.inputs.push_back(integer ? desc : plain_desc(desc.shape, dtype));
  }
  offer.output = plain_desc(query.output.shape, dtype);
  for (const TensorDesc& desc : query.params) {
    offer.params.push_back(plain_desc(desc.shape, dtype));
  }
  offer.reads = reads;
  offer.make = [dtype, body] {
    return dispatch_float(dtype, [&](auto tag) -> KernelPtr {
      return std::make_unique<RefKernel<decltype(tag), Body>>(body);
    });
  };
  return offer;
}

}  // namespace daybreak
