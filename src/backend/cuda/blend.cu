// Averages of all parameters, over the flat arena: 12 bytes an element for a blend, 16 for an
// exchange. Launched outside of a step, where its share may differ from call to call.

#include <cstdint>

#include "backend/blend.h"
#include "backend/cuda/device.cuh"
#include "backend/cuda/launch.h"

namespace daybreak::cuda {
namespace {

__global__ void __launch_bounds__(kThreads)
    blend_kernel(float* average, const float* values, std::int64_t count, float share) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    average[i] = blended(average[i], values[i], share);
  }
}

__global__ void __launch_bounds__(kThreads)
    exchange_kernel(float* a, float* b, std::int64_t count) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const float kept = a[i];
    a[i] = b[i];
    b[i] = kept;
  }
}

}  // namespace

void launch_blend(const Context& context, std::byte* average, const std::byte* values,
                  std::size_t count, float share) {
  if (count == 0) return;
  const std::int64_t elements = static_cast<std::int64_t>(count);
  blend_kernel<<<loop_blocks(elements), kThreads, 0, context.stream()>>>(
      reinterpret_cast<float*>(average), reinterpret_cast<const float*>(values), elements, share);
  check_launch("blend kernel");
}

void launch_exchange(const Context& context, std::byte* a, std::byte* b, std::size_t count) {
  if (count == 0) return;
  const std::int64_t elements = static_cast<std::int64_t>(count);
  exchange_kernel<<<loop_blocks(elements), kThreads, 0, context.stream()>>>(
      reinterpret_cast<float*>(a), reinterpret_cast<float*>(b), elements);
  check_launch("exchange kernel");
}

}  // namespace daybreak::cuda
