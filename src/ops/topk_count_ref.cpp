#include "ops/topk_count.h"

#include <cmath>

#include "backend/ref/label.h"
#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

/// Rank of the label, 0 for the largest score; `classes` when a score is not finite.
template <typename T>
int rank_of(const T* scores, int label, int classes) {
  int rank = 0;
  for (int k = 0; k < classes; ++k) {
    if (!std::isfinite(scores[k])) return classes;
    if (scores[k] > scores[label] || (scores[k] == scores[label] && k < label)) ++rank;
  }
  return rank;
}

}  // namespace

std::vector<KernelOffer> topk_count_ref_offers(const KernelQuery& query) {
  const int k = static_cast<const TopkCount&>(*query.op).k;
  const int samples = query.inputs[0].shape.n, classes = query.inputs[0].shape.c;
  return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    T* y = as<T>(b.y);
    y[0] = y[1] = T{0};
    for (int n = 0; n < samples; ++n) {
      const int label = checked_label(as<std::int32_t>(b.x[1])[n], n, classes);
      const int rank = rank_of(as<T>(b.x[0]) + std::int64_t{n} * classes, label, classes);
      if (rank < 1) y[0] += T{1};
      if (rank < k && rank < classes) y[1] += T{1};
    }
  })};
}

}  // namespace daybreak
