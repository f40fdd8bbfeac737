#include "backend/cuda/context.h"

#include <utility>

#include "backend/cuda/check.h"
#include "backend/cuda/cudnn_graph.h"
#include "core/error.h"

namespace daybreak::cuda {
namespace {

constexpr int kOldestMajor = 8;  // bf16 arithmetic and the architectures the module is built for

int checked_device(int device) {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) throw DeviceError("no NVIDIA driver is installed");
    throw DeviceError("the NVIDIA driver serves CUDA " + std::to_string(driver / 1000) + "." +
                      std::to_string(driver % 1000 / 10) + " only; this build needs CUDA " +
                      std::to_string(CUDART_VERSION / 1000) + "." +
                      std::to_string(CUDART_VERSION % 1000 / 10) + "; update the driver");
  }
  if (code == cudaErrorNoDevice || (code == cudaSuccess && count == 0)) {
    throw DeviceError("no GPU was found");
  }
  check(code, "cudaGetDeviceCount");
  if (device < 0 || device >= count) {
    throw DeviceError("there is no GPU " + std::to_string(device) + "; this machine has " +
                      std::to_string(count) + ", counted from 0");
  }
  return device;
}

}  // namespace

Context::Context(int device, int engines)
    : device_(checked_device(device)),
      max_engines_(engines),
      conv_plans_(std::make_unique<ConvPlanCache>()) {
  check(cudaSetDevice(device_), "cudaSetDevice");
  // Who waits long leaves the processor to the loader.
  check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync), "cudaSetDeviceFlags");
  check(cudaGetDeviceProperties(&properties_, device_), "cudaGetDeviceProperties");
  if (properties_.major < kOldestMajor) {
    throw DeviceError(std::string("GPU \"") + properties_.name + "\" has compute capability " +
                      std::to_string(properties_.major) + "." + std::to_string(properties_.minor) +
                      "; 8.0 (Ampere) or newer is needed");
  }
  try {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudnnCreate(&cudnn_), "cudnnCreate");
    check(cudnnSetStream(cudnn_, stream_), "cudnnSetStream");
    check(cublasLtCreate(&cublas_), "cublasLtCreate");
  } catch (...) {
    release();
    throw;
  }
}

Context::Context(int engines)
    : max_engines_(engines),
      described_gpu_(engines > 0 ? std::make_unique<Descriptor>(describe_h100()) : nullptr),
      conv_plans_(std::make_unique<ConvPlanCache>()) {}

Context::~Context() {
  conv_plans_.reset();  // plans need cuDNN
  release();
}

void Context::release() noexcept {
  if (cublas_ != nullptr) cublasLtDestroy(cublas_);
  if (cudnn_ != nullptr) cudnnDestroy(cudnn_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

DeviceBuffer::DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const cudaError_t code = cudaMalloc(&data_, bytes);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the failure is reported here, not by the next launch
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    throw DeviceError("out of GPU memory: " + bytes_text(bytes) + " wanted, " + bytes_text(free) +
                      " of " + bytes_text(total) + " free; use a smaller batch");
  }
  check(code, "cudaMalloc");
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) cudaFree(data_);
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void upload(const Context& context, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, context.stream()),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(context.stream()), "cudaStreamSynchronize");
}

}  // namespace daybreak::cuda
