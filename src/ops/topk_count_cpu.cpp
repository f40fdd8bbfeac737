#include "ops/topk_count.h"

#include <cmath>

#include "backend/cpu/kernel.h"

namespace daybreak {
namespace {

// Rank of the label, 0 for the largest score; `classes` when a score is not finite.
int rank_of(const float* scores, std::int32_t label, int classes) {
  const float own = scores[label];
  int rank = 0;
  bool finite = true;
  for (int k = 0; k < classes; ++k) {
    finite &= std::isfinite(scores[k]);
    rank += scores[k] > own || (scores[k] == own && k < label) ? 1 : 0;
  }
  return finite ? rank : classes;
}

}  // namespace

CpuOffers topk_count_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Shape shape = query.inputs[0].shape;
  const int k = static_cast<const TopkCount&>(*query.op).k;
  return {own_offer(context, query, "topk_count", kNchw, [=](const Bindings& b) {
    const float* scores = as(b.x[0]);
    const std::int32_t* labels = as<const std::int32_t>(b.x[1]);
    check_labels(labels, shape.n, shape.c);
    int best = 0, among = 0;
    for (int n = 0; n < shape.n; ++n) {
      const int rank = rank_of(scores + std::int64_t{n} * shape.c, labels[n], shape.c);
      best += rank < 1 ? 1 : 0;
      among += rank < k && rank < shape.c ? 1 : 0;
    }
    as(b.y)[0] = static_cast<float>(best);
    as(b.y)[1] = static_cast<float>(among);
  })};
}

}  // namespace daybreak
