#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>  // names without std, as device code has them

#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>

// Device code compiled for the CPU: rewrite_launches.py turns launches into calls of launch(), this
// header is included in front. The threads of a block are fibers that run one after the other and
// change only where they wait for one another; DAYBREAK_FAKE_GPU_ORDER=reversed turns their order
// round, which shows missing barriers. Shared memory is static, because blocks run one by one.

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace daybreak::emulate {

/// Runs `body` for every thread of every block. Ends the program with a message for shapes that no
/// GPU takes and for threads that wait for others which do not come.
void run_grid(dim3 grid, dim3 block, const std::function<void()>& body);

/// Queues work on a stream, or notes it while the stream is captured (fake_cudart.cpp).
void enqueue(cudaStream_t stream, std::function<void()> work);

/// Waits for all threads of the block.
void wait_for_block();
/// Waits for all threads of the warp.
void wait_for_warp();
/// 32 places of the warp, one a lane; `lane` becomes the caller's.
void* warp_slots(int& lane);

/// Arguments are copied now, as in a launch.
template <class Kernel, class... Arguments>
void launch(dim3 grid, dim3 block, std::size_t, cudaStream_t stream, Kernel kernel,
            Arguments... arguments) {
  enqueue(stream, [=, all = std::make_tuple(arguments...)] {
    run_grid(grid, block, [&] { std::apply(kernel, all); });
  });
}

}  // namespace daybreak::emulate

inline void __syncthreads() {
  daybreak::emulate::wait_for_block();
}

template <class T>
T __shfl_xor_sync(unsigned, T value, int offset) {
  static_assert(sizeof(T) <= 8);
  int lane = 0;
  auto* slots = static_cast<T(*)[8 / sizeof(T)]>(daybreak::emulate::warp_slots(lane));
  slots[lane][0] = value;
  daybreak::emulate::wait_for_warp();
  const T result = slots[lane ^ offset][0];
  daybreak::emulate::wait_for_warp();
  return result;
}
