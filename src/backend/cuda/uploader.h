#pragma once

#include <array>
#include <cstddef>

#include "backend/cuda/context.h"

namespace daybreak::cuda {

/// Copies from the host that wait for nothing: through pinned memory and a stream of their own into
/// a slot on the device, and from there, in the order of all other work, to their place. The host
/// waits only when it is a whole ring of slots ahead. Small copies have slots of their own, so that
/// labels do not hold room for pictures.
class Uploader {
 public:
  explicit Uploader(const Context& context) : context_(context) {}
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// `from` may change when it returns.
  void send(void* to, const void* from, std::size_t bytes);

 private:
  struct Slot {
    void* pinned = nullptr;
    DeviceBuffer device;
    std::size_t bytes = 0;
    cudaEvent_t arrived = nullptr;  ///< the pinned memory has been read
    cudaEvent_t taken = nullptr;    ///< the device's copy has been read
  };
  static constexpr std::size_t kSmall = 64 << 10;

  void grow(Slot& slot, std::size_t bytes);

  const Context& context_;
  cudaStream_t stream_ = nullptr;
  std::array<Slot, 8> small_;
  std::array<Slot, 2> large_;
  std::size_t next_small_ = 0, next_large_ = 0;
};

}  // namespace daybreak::cuda
