#pragma once

#include <string>
#include <vector>

#include "backend/cpu/kernel.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/yolo_loss_math.h"

namespace daybreak {

/// Losses read and write plain f32, whatever the network computes in.
inline void take_plain_f32(KernelOffer& offer) {
  for (TensorDesc& desc : offer.inputs) desc = plain_desc(desc.shape, DType::f32);
}

/// The CPU kernels of a loss over places, as head_loss_ref_offers. A plane (picture and anchor) at
/// a time, in double: the maps are small beside the convolutions before them. Losses of planes go
/// to the workspace and are summed in order.
template <typename Claim, typename Place>
CpuOffers head_loss_cpu_offers(const CpuContext& context, const KernelQuery& query,
                               const std::string& name, int anchors, int classes, Claim claim,
                               Place place) {
  const Shape map = query.inputs[0].shape;
  const int truths = query.inputs[1].shape.c;
  if (query.pass == Pass::backward) {
    KernelOffer offer = own_offer(context, query, name, kNchw, [=](const Bindings& b) {
      float* dx = entry(b.dx, 0);
      if (!dx) return;
      const float g = *as(b.dy);
      const float* saved = as(b.aux);
      parallel_for(map.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) dx[i] = g * saved[i];
      });
    });
    offer.reads = {.aux = true};
    take_plain_f32(offer);
    return {offer};
  }
  const std::int64_t planes = std::int64_t{map.n} * anchors;
  const auto claim_truths = [=](const Bindings& b, YoloClaim* claims) {
    for (std::int64_t m = 0; m < std::int64_t{map.n} * truths; ++m) {
      claims[m] = claim(as(b.x[0]) + m / truths * map.per_sample(), as(b.x[1]) + 5 * m);
      if (claims[m].cell < 0 || claims[m].category < classes) continue;
      throw DataError("category " + std::to_string(claims[m].category) + " of a box of sample " +
                      std::to_string(m / truths) + " of the batch is outside 0.." +
                      std::to_string(classes - 1));
    }
  };
  const auto plane_loss = [=](const Bindings& b, const YoloClaim* claims, std::int64_t plane) {
    const int cells = map.spatial(), a = static_cast<int>(plane % anchors);
    const std::int64_t n = plane / anchors, start = plane * (5 + classes) * cells;
    double sum = 0.0;
    for (int cell = 0; cell < cells; ++cell) {
      sum += place(as(b.x[0]) + start + cell, cells, a, cell, as(b.x[1]) + n * truths * 5,
                   claims + n * truths, 1.0 / map.n, b.aux ? as(b.aux) + start + cell : nullptr);
    }
    return sum;
  };
  KernelOffer offer = own_offer(context, query, name, kNchw, [=](const Bindings& b) {
    double* losses = as<double>(b.workspace);
    YoloClaim* claims = reinterpret_cast<YoloClaim*>(losses + planes);
    claim_truths(b, claims);
    parallel_for(planes, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        losses[plane] = plane_loss(b, claims, plane);
      }
    });
    double sum = 0.0;
    for (std::int64_t plane = 0; plane < planes; ++plane) sum += losses[plane];
    *as(b.y) = static_cast<float>(sum / map.n);
  });
  offer.workspace_bytes = static_cast<std::size_t>(planes) * sizeof(double) +
                          static_cast<std::size_t>(map.n) * truths * sizeof(YoloClaim);
  if (query.mode == Mode::train) {
    offer.aux_bytes = static_cast<std::size_t>(map.count()) * sizeof(float);
  }
  take_plain_f32(offer);
  return {offer};
}

}  // namespace daybreak
