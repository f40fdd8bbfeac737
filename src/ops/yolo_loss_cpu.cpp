#include <vector>

#include "backend/cpu/kernel.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/yolo_loss_math.h"

// A plane (picture and anchor) at a time, in double: the maps are small beside the convolutions
// before them. Losses of planes go to the workspace and are summed in order.

namespace daybreak {
namespace {

struct Job {
  YoloTerms<double> terms;
  Shape map;
  const float* x = nullptr;
  const float* boxes = nullptr;
  float* gradient = nullptr;  // null in evaluation
  double* losses = nullptr;   // by plane
  YoloClaim* claims = nullptr;
};

void claim_truths(const Job& job) {
  const int truths = job.terms.truths;
  for (std::int64_t m = 0; m < std::int64_t{job.map.n} * truths; ++m) {
    YoloClaim& claim = job.claims[m];
    claim = yolo_claim(job.terms, job.boxes + 5 * m);
    if (claim.cell < 0 || claim.category < job.terms.classes) continue;
    throw DataError("category " + std::to_string(claim.category) + " of a box of sample " +
                    std::to_string(m / truths) + " of the batch is outside 0.." +
                    std::to_string(job.terms.classes - 1));
  }
}

void plane_losses(const Job& job, std::int64_t begin, std::int64_t end) {
  const int cells = job.map.spatial(), truths = job.terms.truths;
  for (std::int64_t plane = begin; plane < end; ++plane) {
    const std::int64_t n = plane / job.terms.anchors;
    const int a = static_cast<int>(plane % job.terms.anchors);
    const std::int64_t start = plane * (5 + job.terms.classes) * cells;
    double sum = 0.0;
    for (int cell = 0; cell < cells; ++cell) {
      float* g = job.gradient ? job.gradient + start + cell : nullptr;
      sum +=
          yolo_place_loss(job.terms, job.x + start + cell, cells, a, cell,
                          job.boxes + n * truths * 5, job.claims + n * truths, 1.0 / job.map.n, g);
    }
    job.losses[plane] = sum;
  }
}

CpuOffers backward_offers(const CpuContext& context, const KernelQuery& query) {
  const std::int64_t count = query.inputs[0].shape.count();
  KernelOffer offer = own_offer(context, query, "yolo_loss", kNchw, [=](const Bindings& b) {
    float* dx = entry(b.dx, 0);
    if (!dx) return;
    const float g = *as(b.dy);
    const float* saved = as(b.aux);
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) dx[i] = g * saved[i];
    });
  });
  offer.reads = {.aux = true};
  return {offer};
}

}  // namespace

CpuOffers yolo_loss_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  if (query.pass == Pass::backward) return backward_offers(context, query);
  const auto& op = static_cast<const YoloLoss&>(*query.op);
  const Shape map = query.inputs[0].shape, boxes = query.inputs[1].shape;
  const YoloTerms<double> terms = yolo_terms<double>(op, map, boxes);
  const std::int64_t planes = std::int64_t{map.n} * terms.anchors;
  KernelOffer offer = own_offer(context, query, "yolo_loss", kNchw, [=](const Bindings& b) {
    Job job{terms, map, as(b.x[0]), as(b.x[1]), as(b.aux)};
    job.losses = as<double>(b.workspace);
    job.claims = reinterpret_cast<YoloClaim*>(job.losses + planes);
    claim_truths(job);
    parallel_for(planes, 1,
                 [&](std::int64_t begin, std::int64_t end) { plane_losses(job, begin, end); });
    double sum = 0.0;
    for (std::int64_t plane = 0; plane < planes; ++plane) sum += job.losses[plane];
    *as(b.y) = static_cast<float>(sum / map.n);
  });
  offer.workspace_bytes = static_cast<std::size_t>(planes) * sizeof(double) +
                          static_cast<std::size_t>(map.n) * boxes.c * sizeof(YoloClaim);
  if (query.mode == Mode::train) {
    offer.aux_bytes = static_cast<std::size_t>(map.count()) * sizeof(float);
  }
  return {offer};
}

}  // namespace daybreak
