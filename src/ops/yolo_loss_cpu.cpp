#include "ops/head_loss_cpu.h"

namespace daybreak {

CpuOffers yolo_loss_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const YoloTerms<double> terms = yolo_terms<double>(static_cast<const YoloLoss&>(*query.op),
                                                     query.inputs[0].shape, query.inputs[1].shape);
  return head_loss_cpu_offers(
      context, query, "yolo_loss", terms.anchors, terms.classes,
      [=](const float*, const float* row) { return yolo_claim(terms, row); },
      [=](auto... arguments) { return yolo_place_loss(terms, arguments...); });
}

}  // namespace daybreak
