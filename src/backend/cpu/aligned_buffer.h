#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/error.h"

namespace daybreak {

/// A zeroed buffer a kernel owns, 64-byte aligned.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64))) {
    if (!data_) throw DeviceError("out of memory: no " + std::to_string(bytes) + " bytes left");
    std::memset(data_.get(), 0, bytes);
  }
  std::byte* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace daybreak
