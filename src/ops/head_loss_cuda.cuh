#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/yolo_loss_math.h"

// Losses over the places of one map (yolo, region), as head_loss_cpu.h: a thread a place, in
// double, because the maps are small beside the convolutions before them. Sums of blocks are added
// by one block in fixed order. Maps of any floating type come as plain f32, by a reorder.
//
// `Terms` has, for host and device:
//   int anchors() const, classes() const, truths() const, cells() const;
//   YoloClaim claim(const float* map, const float* row) const;
//   double place_loss(x, stride, a, cell, rows, claims, scale, g) const;   // as yolo_place_loss
namespace daybreak::cuda {

template <class Terms>
__global__ void claims_kernel(Terms terms, const float* x, const float* boxes, int rows,
                              YoloClaim* claims) {
  const std::int64_t per_sample =
      static_cast<std::int64_t>(terms.anchors()) * (5 + terms.classes()) * terms.cells();
  for (std::int64_t m = loop_begin(); m < rows; m += loop_stride()) {
    claims[m] = terms.claim(x + m / terms.truths() * per_sample, boxes + 5 * m);
  }
}

template <class Terms>
__global__ void places_kernel(Terms terms, int samples, const float* x, const float* boxes,
                              const YoloClaim* claims, float* gradient, double* partial) {
  __shared__ double shared[kWarp];
  const int cells = terms.cells(), truths = terms.truths();
  const std::int64_t places = static_cast<std::int64_t>(samples) * terms.anchors() * cells;
  double sum = 0.0;
  for (std::int64_t i = loop_begin(); i < places; i += loop_stride()) {
    const std::int64_t plane = i / cells, n = plane / terms.anchors();
    const int cell = static_cast<int>(i % cells), a = static_cast<int>(plane % terms.anchors());
    const std::int64_t at = plane * (5 + terms.classes()) * cells + cell;
    sum += terms.place_loss(x + at, cells, a, cell, boxes + n * truths * 5, claims + n * truths,
                            1.0 / samples, gradient != nullptr ? gradient + at : nullptr);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/// A category that is not there makes the loss NaN, which ends the training.
template <class Terms>
__global__ void head_total_kernel(Terms terms, int samples, const YoloClaim* claims,
                                  const double* partial, int blocks, float* y) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += partial[i];
  for (int m = threadIdx.x; m < samples * terms.truths(); m += blockDim.x) {
    if (claims[m].cell >= 0 && claims[m].category >= terms.classes()) sum += nan("");
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *y = static_cast<float>(sum / samples);
}

/// dx = dy * what forward has saved. Static: each file that uses it registers its own.
static __global__ void scale_saved_kernel(const float* saved, const float* dy, float* dx,
                                          std::int64_t count) {
  const float g = *dy;
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) dx[i] = g * saved[i];
}

/// Blocks that `places` are shared by: by their count alone, so results do not depend on the GPU.
inline int place_blocks(std::int64_t places) {
  constexpr std::int64_t kMost = 1024;
  const std::int64_t wanted = (places + kThreads - 1) / kThreads;
  return static_cast<int>(wanted < kMost ? wanted : kMost);
}

/// Offset of the claims behind the sums of the blocks, and all bytes.
struct HeadRoom {
  std::size_t claims = 0, bytes = 0;

  HeadRoom(int blocks, int rows)
      : claims(aligned(static_cast<std::size_t>(blocks) * sizeof(double))),
        bytes(claims + static_cast<std::size_t>(rows) * sizeof(YoloClaim)) {}
};

template <class Terms>
void run_head_loss(const Context& context, const Terms& terms, int samples, const Bindings& b) {
  const int blocks =
      place_blocks(static_cast<std::int64_t>(samples) * terms.anchors() * terms.cells());
  const int rows = samples * terms.truths();
  std::byte* workspace = workspace_begin(b.workspace);
  double* partial = as<double>(workspace);
  YoloClaim* claims = as<YoloClaim>(workspace + HeadRoom(blocks, rows).claims);
  const float *x = as<const float>(b.x[0]), *boxes = as<const float>(b.x[1]);
  const cudaStream_t stream = context.stream();
  claims_kernel<Terms><<<loop_blocks(rows), kThreads, 0, stream>>>(terms, x, boxes, rows, claims);
  check_launch("head claims kernel");
  places_kernel<Terms><<<blocks, kThreads, 0, stream>>>(terms, samples, x, boxes, claims,
                                                        as<float>(b.aux), partial);
  check_launch("head places kernel");
  head_total_kernel<Terms>
      <<<1, kThreads, 0, stream>>>(terms, samples, claims, partial, blocks, as<float>(b.y));
  check_launch("head total kernel");
}

template <class Terms>
Offers head_loss_offers(Context& context, const KernelQuery& query, const char* name,
                        const Terms& terms, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason)) return {};
  const Shape map = query.inputs[0].shape, boxes = query.inputs[1].shape;
  KernelOffer offer;
  offer.name = name;
  offer.inputs = {plain_desc(map, DType::f32), plain_desc(boxes, DType::f32)};
  offer.output = plain_desc(query.output.shape, DType::f32);
  if (query.pass == Pass::forward) {
    const std::int64_t places = std::int64_t{map.n} * terms.anchors() * map.spatial();
    offer.workspace_bytes = workspace_room(HeadRoom(place_blocks(places), map.n * boxes.c).bytes);
    if (query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(map.count()) * sizeof(float);
    }
    offer.make = [&context, terms, samples = map.n, name = query_name(query)] {
      return make_run_kernel(
          name, [=, &context](const Bindings& b) { run_head_loss(context, terms, samples, b); });
    };
    return {offer};
  }
  offer.reads = {.aux = true};
  offer.make = [&context, count = map.count(), name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      float* dx = entry<float>(b.dx, 0);
      if (dx == nullptr) return;
      scale_saved_kernel<<<loop_blocks(count), kThreads, 0, context.stream()>>>(
          as<const float>(b.aux), as<const float>(b.dy), dx, count);
      check_launch("head gradient kernel");
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
