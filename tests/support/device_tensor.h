#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "support/op_data.h"

namespace daybreak {

/// Memory of a backend with guard bytes on both sides; the inside starts as NaN in every float
/// type.
class GuardedBuffer {
 public:
  GuardedBuffer(Backend& backend, std::size_t bytes);
  std::byte* data();
  std::size_t bytes() const { return bytes_; }
  void write(const std::vector<std::byte>& bytes);
  std::vector<std::byte> read();
  /// Fails the test when a byte around the buffer has changed.
  void expect_guards(const std::string& what);

 private:
  Backend& backend_;
  std::size_t bytes_;
  MemoryPtr memory_;
};
using BufferPtr = std::unique_ptr<GuardedBuffer>;

/// A tensor in a backend's memory.
struct DeviceTensor {
  TensorDesc desc;
  BufferPtr buffer;
  std::byte* data() { return buffer ? buffer->data() : nullptr; }
};

/// An output nobody has written yet.
DeviceTensor poisoned(Backend& backend, const TensorDesc& desc);
/// Brings numbers into any layout of the backend, through Backend::reorder where it is not plain.
DeviceTensor upload(Backend& backend, const HostTensor& tensor, const TensorDesc& desc);
/// The way back. `desc` is f32, f64 or a shorter float type.
HostTensor download(Backend& backend, DeviceTensor& tensor);
/// Fails the test unless elements that the layout adds are zero.
void expect_clean_padding(Backend& backend, DeviceTensor& tensor, const std::string& what);

}  // namespace daybreak
