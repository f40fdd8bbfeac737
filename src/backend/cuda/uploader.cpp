#include "backend/cuda/uploader.h"

#include <cstring>

#include "backend/cuda/check.h"
#include "backend/cuda/launch.h"

namespace daybreak::cuda {

Uploader::~Uploader() {
  if (stream_ == nullptr) return;
  cudaStreamSynchronize(context_.stream());  // the last copies may be on their way
  const auto release = [](Slot& slot) {
    if (slot.arrived != nullptr) cudaEventDestroy(slot.arrived);
    if (slot.taken != nullptr) cudaEventDestroy(slot.taken);
    if (slot.pinned != nullptr) cudaFreeHost(slot.pinned);
  };
  for (Slot& slot : small_) release(slot);
  for (Slot& slot : large_) release(slot);
  cudaStreamDestroy(stream_);
}

void Uploader::grow(Slot& slot, std::size_t bytes) {
  if (stream_ == nullptr) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  if (slot.taken == nullptr) {
    // Who waits for them leaves the processor to the loader.
    constexpr unsigned kFlags = cudaEventDisableTiming | cudaEventBlockingSync;
    check(cudaEventCreateWithFlags(&slot.arrived, kFlags), "cudaEventCreateWithFlags");
    check(cudaEventCreateWithFlags(&slot.taken, kFlags), "cudaEventCreateWithFlags");
  }
  check(cudaEventSynchronize(slot.taken), "cudaEventSynchronize");
  if (slot.pinned != nullptr) check(cudaFreeHost(slot.pinned), "cudaFreeHost");
  slot.pinned = nullptr;
  slot.bytes = 0;
  check(cudaHostAlloc(&slot.pinned, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  slot.device = DeviceBuffer();  // before the larger one is asked for
  slot.device = DeviceBuffer(bytes);
  slot.bytes = bytes;
}

void Uploader::send(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes <= kFewBytes) return launch_put_bytes(context_, to, from, bytes);
  const bool small = bytes <= kSmall;
  Slot& slot =
      small ? small_[next_small_++ % small_.size()] : large_[next_large_++ % large_.size()];
  if (slot.bytes < bytes) grow(slot, small ? kSmall : bytes);
  // An event that was never recorded counts as reached.
  check(cudaEventSynchronize(slot.arrived), "cudaEventSynchronize");
  std::memcpy(slot.pinned, from, bytes);
  void* device = slot.device.as<void>();
  check(cudaStreamWaitEvent(stream_, slot.taken), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(device, slot.pinned, bytes, cudaMemcpyHostToDevice, stream_),
        "cudaMemcpyAsync");
  check(cudaEventRecord(slot.arrived, stream_), "cudaEventRecord");
  check(cudaStreamWaitEvent(context_.stream(), slot.arrived), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(to, device, bytes, cudaMemcpyDeviceToDevice, context_.stream()),
        "cudaMemcpyAsync");
  check(cudaEventRecord(slot.taken, context_.stream()), "cudaEventRecord");
}

}  // namespace daybreak::cuda
