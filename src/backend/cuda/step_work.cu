// What a step does around its network, on the device: scalars that arrive, sums over its batches,
// its record, batches made of resident pictures (one block a picture), and rows of an evaluation
// that are kept; both read and write every byte once. Nothing of it reads the host, so all of it
// but put_bytes can be recorded.

#include <cstring>

#include "backend/batch_recipe.h"
#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/offers.h"

namespace daybreak::cuda {
namespace {

/// Arguments of a launch are copied when it is queued.
struct FewBytes {
  unsigned char v[kFewBytes];
};

__global__ void put_bytes_kernel(FewBytes bytes, unsigned char* to, int count) {
  const int i = threadIdx.x;
  if (i < count) to[i] = bytes.v[i];
}

__global__ void take_batch_kernel(StepScalars* scalars, const float* loss, const float* hits,
                                  bool first) {
  take_batch(*scalars, *loss, hits != nullptr ? *hits : 0.0f, first);
}

__global__ void end_step_kernel(StepScalars* scalars, StepRecord* ring) {
  end_step(*scalars, ring);
}

__global__ void __launch_bounds__(kThreads)
    batch_kernel(BatchRecipe recipe, const std::uint8_t* pictures, const std::int32_t* labels,
                 const std::uint32_t* order, const StepScalars* scalars, std::uint8_t* out,
                 std::int32_t* out_labels) {
  __shared__ BatchDraws draws;
  __shared__ std::uint32_t sample;
  const int n = blockIdx.x;
  if (threadIdx.x == 0) {
    const std::uint64_t wanted = scalars->first_sample + static_cast<std::uint64_t>(n);
    sample = order[wanted < recipe.samples ? wanted : recipe.samples - 1];
    draws = draw_batch_sample(recipe, scalars->epoch, sample);
    if (out_labels != nullptr) out_labels[n] = labels[sample];
  }
  __syncthreads();
  const int pixels = recipe.height * recipe.width, channels = recipe.channels;
  const std::int64_t size = static_cast<std::int64_t>(pixels) * channels;
  const std::uint8_t* from = pictures + sample * size;
  std::uint8_t* to = out + n * size;
  for (int p = threadIdx.x; p < pixels; p += blockDim.x) {
    const BatchPixel pixel = batch_pixel(recipe, draws, p % recipe.width, p / recipe.width);
    const std::int64_t at =
        (static_cast<std::int64_t>(pixel.y) * recipe.width + pixel.x) * channels;
    for (int c = 0; c < channels; ++c) {
      std::uint8_t value = 0;
      if (pixel.from == BatchPixel::picture) value = from[at + c];
      if (pixel.from == BatchPixel::colour) value = recipe.colour[c];
      to[static_cast<std::int64_t>(p) * channels + c] = value;
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    keep_rows_kernel(RowRecipe recipe, const float* rows, const StepScalars* scalars, float* kept) {
  const std::int64_t count = std::int64_t{recipe.rows} * recipe.columns;
  const auto first = static_cast<std::int64_t>(scalars->first_sample % recipe.capacity);
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    kept[first * recipe.columns + i] = rows[i];
  }
}

}  // namespace

void launch_put_bytes(const Context& context, void* to, const void* from, std::size_t count) {
  FewBytes bytes;
  std::memcpy(bytes.v, from, count);
  put_bytes_kernel<<<1, kFewBytes, 0, context.stream()>>>(bytes, static_cast<unsigned char*>(to),
                                                          static_cast<int>(count));
  check_launch("put bytes kernel");
}

KernelPtr make_step_work(Context& context, StepWork work) {
  return make_run_kernel("sums of a step", [=, &context](const Bindings& b) {
    if (work == StepWork::end) {
      end_step_kernel<<<1, 1, 0, context.stream()>>>(b.scalars, as<StepRecord>(b.y));
    } else {
      take_batch_kernel<<<1, 1, 0, context.stream()>>>(b.scalars, as<const float>(b.x[0]),
                                                       as<const float>(b.x[1]),
                                                       work == StepWork::first_batch);
    }
    check_launch("step kernel");
  });
}

KernelPtr make_batch_maker(Context& context, const BatchRecipe& recipe) {
  static_assert(sizeof(BatchRecipe) < 2048);
  return make_run_kernel("batch of resident pictures", [=, &context](const Bindings& b) {
    batch_kernel<<<recipe.batch, kThreads, 0, context.stream()>>>(
        recipe, as<const std::uint8_t>(b.x[0]), as<const std::int32_t>(b.x[1]),
        as<const std::uint32_t>(b.x[2]), b.scalars, as<std::uint8_t>(b.y),
        as<std::int32_t>(b.w[0]));
    check_launch("batch kernel");
  });
}

KernelPtr make_row_keeper(Context& context, const RowRecipe& recipe) {
  return make_run_kernel("rows of an evaluation", [=, &context](const Bindings& b) {
    const std::int64_t count = std::int64_t{recipe.rows} * recipe.columns;
    keep_rows_kernel<<<loop_blocks(count), kThreads, 0, context.stream()>>>(
        recipe, as<const float>(b.x[0]), b.scalars, as<float>(b.y));
    check_launch("row keeping kernel");
  });
}

}  // namespace daybreak::cuda
