#include "ops/head_loss_cpu.h"
#include "ops/region_loss_math.h"

namespace daybreak {

CpuOffers region_loss_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const RegionTerms<double> terms = region_terms<double>(
      static_cast<const RegionLoss&>(*query.op), query.inputs[0].shape, query.inputs[1].shape);
  return head_loss_cpu_offers(
      context, query, "region_loss", terms.boxes.anchors, terms.boxes.classes,
      [=](const float* map, const float* row) { return region_claim(terms, map, row); },
      [=](auto... arguments) { return region_place_loss(terms, arguments...); });
}

}  // namespace daybreak
