#include "backend/ref/ref_ops.h"
#include "ops/head_loss_ref.h"

namespace daybreak {

std::vector<KernelOffer> yolo_loss_ref_offers(const KernelQuery& query) {
  const YoloTerms<double> terms = yolo_terms<double>(static_cast<const YoloLoss&>(*query.op),
                                                     query.inputs[0].shape, query.inputs[1].shape);
  return head_loss_ref_offers(
      query, terms.anchors, terms.classes,
      [=](const auto*, const auto* row) { return yolo_claim(terms, row); },
      [=](auto... arguments) { return yolo_place_loss(terms, arguments...); });
}

}  // namespace daybreak
