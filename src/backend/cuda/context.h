#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn_graph.h>

#include <cstddef>
#include <memory>
#include <string>

namespace daybreak::cuda {

class ConvPlanCache;
class Descriptor;

/// What all kernels of one backend share: the device, one stream and the library handles.
/// Kernels keep a pointer to it; the backend that owns it outlives them.
class Context {
 public:
  /// `engines`: of one convolution that are offered at most; an autotuner asks for more than one.
  Context(int device, int engines);
  /// Without a device: own kernels can be offered, nothing can be made or run. With `engines` > 0
  /// cuDNN is asked for that many as well, for a GPU that is described to it: an H100.
  explicit Context(int engines);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  bool has_device() const { return stream_ != nullptr; }
  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  cudnnHandle_t cudnn() const { return cudnn_; }
  cublasLtHandle_t cublas() const { return cublas_; }
  const cudaDeviceProp& properties() const { return properties_; }
  /// What cuDNN is told about a GPU that is not there; null where there is one, or nobody asks.
  const Descriptor* described_gpu() const { return described_gpu_.get(); }
  /// TF32 rounds the factors of f32 products to 11 bits; off unless a user allows it.
  bool allow_tf32 = false;
  int max_engines() const { return max_engines_; }
  /// The engines found so far: the same convolution occurs many times in a network.
  ConvPlanCache& conv_plans() const { return *conv_plans_; }

 private:
  void release() noexcept;

  int device_ = 0;
  cudaStream_t stream_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
  cudaDeviceProp properties_{};
  int max_engines_ = 1;
  std::unique_ptr<Descriptor> described_gpu_;
  std::unique_ptr<ConvPlanCache> conv_plans_;
};

/// Owns a stretch of device memory. Throws DeviceError with the bytes wanted and free.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Copies host numbers to the device and waits; for tables made when a kernel is made.
void upload(const Context& context, void* to, const void* from, std::size_t bytes);

template <class Numbers>
DeviceBuffer upload_vector(const Context& context, const Numbers& numbers) {
  const std::size_t bytes = numbers.size() * sizeof(numbers[0]);
  DeviceBuffer buffer(bytes);
  upload(context, buffer.as<void>(), numbers.data(), bytes);
  return buffer;
}

}  // namespace daybreak::cuda
