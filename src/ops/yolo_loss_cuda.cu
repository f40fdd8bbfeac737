// A thread a place of a head's map, in double: the maps are small beside the convolutions before
// them. Sums of blocks are added by one block in fixed order. Maps of any floating type come as
// plain f32, by a reorder.

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/yolo_loss_math.h"

namespace daybreak::cuda {
namespace {

using Terms = YoloTerms<double>;

/// A category that is not there marks the claim as a loss of NaN, which ends the training.
__global__ void claims_kernel(Terms terms, const float* boxes, int rows, YoloClaim* claims) {
  for (std::int64_t m = loop_begin(); m < rows; m += loop_stride()) {
    claims[m] = yolo_claim(terms, boxes + 5 * m);
  }
}

__global__ void places_kernel(Terms terms, int samples, const float* x, const float* boxes,
                              const YoloClaim* claims, float* gradient, double* partial) {
  __shared__ double shared[kWarp];
  const int cells = terms.height * terms.width;
  const std::int64_t places = static_cast<std::int64_t>(samples) * terms.anchors * cells;
  double sum = 0.0;
  for (std::int64_t i = loop_begin(); i < places; i += loop_stride()) {
    const std::int64_t plane = i / cells, n = plane / terms.anchors;
    const int cell = static_cast<int>(i % cells), a = static_cast<int>(plane % terms.anchors);
    const std::int64_t at = plane * (5 + terms.classes) * cells + cell;
    sum += yolo_place_loss(terms, x + at, cells, a, cell, boxes + n * terms.truths * 5,
                           claims + n * terms.truths, 1.0 / samples,
                           gradient != nullptr ? gradient + at : nullptr);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void total_kernel(Terms terms, int samples, const YoloClaim* claims,
                             const double* partial, int blocks, float* y) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += partial[i];
  for (int m = threadIdx.x; m < samples * terms.truths; m += blockDim.x) {
    if (claims[m].category >= terms.classes) sum += nan("");  // the CPU says which
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *y = static_cast<float>(sum / samples);
}

__global__ void scale_kernel(const float* saved, const float* dy, float* dx, std::int64_t count) {
  const float g = *dy;
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) dx[i] = g * saved[i];
}

/// Blocks that the places are shared by: by their count alone, so results do not depend on the GPU.
int place_blocks(std::int64_t places) {
  constexpr std::int64_t kMost = 1024;
  const std::int64_t wanted = (places + kThreads - 1) / kThreads;
  return static_cast<int>(wanted < kMost ? wanted : kMost);
}

struct Parts {
  std::size_t claims = 0, bytes = 0;  // offset of the claims behind the sums; all

  Parts(int blocks, int rows)
      : claims(aligned(static_cast<std::size_t>(blocks) * sizeof(double))),
        bytes(claims + static_cast<std::size_t>(rows) * sizeof(YoloClaim)) {}
};

void run_forward(const Context& context, const Terms& terms, int samples, const Bindings& b) {
  const std::int64_t places =
      static_cast<std::int64_t>(samples) * terms.anchors * terms.height * terms.width;
  const int blocks = place_blocks(places), rows = samples * terms.truths;
  std::byte* workspace = workspace_begin(b.workspace);
  double* partial = as<double>(workspace);
  YoloClaim* claims = as<YoloClaim>(workspace + Parts(blocks, rows).claims);
  const float* boxes = as<const float>(b.x[1]);
  claims_kernel<<<loop_blocks(rows), kThreads, 0, context.stream()>>>(terms, boxes, rows, claims);
  check_launch("yolo_loss kernel");
  places_kernel<<<blocks, kThreads, 0, context.stream()>>>(
      terms, samples, as<const float>(b.x[0]), boxes, claims, as<float>(b.aux), partial);
  check_launch("yolo_loss kernel");
  total_kernel<<<1, kThreads, 0, context.stream()>>>(terms, samples, claims, partial, blocks,
                                                     as<float>(b.y));
  check_launch("yolo_loss kernel");
}

}  // namespace

Offers yolo_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  const Shape map = query.inputs[0].shape, boxes = query.inputs[1].shape;
  const Terms terms = yolo_terms<double>(static_cast<const YoloLoss&>(*query.op), map, boxes);
  KernelOffer offer;
  offer.name = "own:yolo_loss";
  offer.inputs = {plain_desc(map, DType::f32), plain_desc(boxes, DType::f32)};
  offer.output = plain_desc(query.output.shape, DType::f32);
  if (query.pass == Pass::forward) {
    const std::int64_t places = std::int64_t{map.n} * terms.anchors * map.spatial();
    offer.workspace_bytes = workspace_room(Parts(place_blocks(places), map.n * boxes.c).bytes);
    if (query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(map.count()) * sizeof(float);
    }
    offer.make = [&context, terms, samples = map.n, name = query_name(query)] {
      return make_run_kernel(
          name, [=, &context](const Bindings& b) { run_forward(context, terms, samples, b); });
    };
    return {offer};
  }
  offer.reads = {.aux = true};
  offer.make = [&context, count = map.count(), name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      float* dx = entry<float>(b.dx, 0);
      if (dx == nullptr) return;
      scale_kernel<<<loop_blocks(count), kThreads, 0, context.stream()>>>(
          as<const float>(b.aux), as<const float>(b.dy), dx, count);
      check_launch("yolo_loss kernel");
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
