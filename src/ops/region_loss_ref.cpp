#include "backend/ref/ref_ops.h"
#include "ops/head_loss_ref.h"
#include "ops/region_loss_math.h"

namespace daybreak {

std::vector<KernelOffer> region_loss_ref_offers(const KernelQuery& query) {
  const RegionTerms<double> terms = region_terms<double>(
      static_cast<const RegionLoss&>(*query.op), query.inputs[0].shape, query.inputs[1].shape);
  return head_loss_ref_offers(
      query, terms.boxes.anchors, terms.boxes.classes,
      [=](const auto* map, const auto* row) { return region_claim(terms, map, row); },
      [=](auto... arguments) { return region_place_loss(terms, arguments...); });
}

}  // namespace daybreak
