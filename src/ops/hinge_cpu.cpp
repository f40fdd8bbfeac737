#include "ops/hinge.h"

#include <algorithm>

#include "backend/cpu/kernel.h"
#include "backend/cpu/simd.h"
#include "core/parallel.h"

// A sample at a time; losses go to the workspace and are summed in order in double.

namespace daybreak {
namespace {

struct Job {
  std::int64_t classes = 1;
  float margin = 1.0f;
  const float* x = nullptr;
  const std::int32_t* labels = nullptr;
  double* losses = nullptr;
  float* dx = nullptr;
  float gradient = 0.0f;  // dy / N
};

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const float* s = job.x + n * job.classes;
    const double right = s[job.labels[n]];
    double sum = 0.0;
    for (std::int64_t k = 0; k < job.classes; ++k) {
      const double violation = s[k] - right + job.margin;
      if (k != job.labels[n] && !(violation <= 0.0)) sum += violation;  // NaN is kept
    }
    job.losses[n] = sum;
  }
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const float* s = job.x + n * job.classes;
    float* dx = job.dx + n * job.classes;
    const std::int32_t label = job.labels[n];
    const double right = s[label];
    std::int64_t violations = 0;
    for (std::int64_t k = 0; k < job.classes; ++k) {
      const bool violated = k != label && s[k] - right + job.margin > 0.0;
      dx[k] = violated ? job.gradient : 0.0f;
      violations += violated ? 1 : 0;
    }
    dx[label] = -job.gradient * static_cast<float>(violations);
  }
}

}  // namespace

CpuOffers hinge_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Shape shape = query.inputs[0].shape;
  const float margin = static_cast<const Hinge&>(*query.op).margin;
  const bool is_forward = query.pass == Pass::forward;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / shape.c);
  KernelOffer offer = own_offer(context, query, "hinge", kNchw, [=](const Bindings& b) {
    Job job;
    job.classes = shape.c;
    job.margin = margin;
    job.x = as(b.x[0]);
    job.labels = as<const std::int32_t>(b.x[1]);
    check_labels(job.labels, shape.n, shape.c);
    if (is_forward) {
      job.losses = as<double>(b.workspace);
      parallel_for(shape.n, grain,
                   [&](std::int64_t begin, std::int64_t end) { forward_range(job, begin, end); });
      double sum = 0.0;
      for (int n = 0; n < shape.n; ++n) sum += job.losses[n];
      *as(b.y) = static_cast<float>(sum / shape.n);
      return;
    }
    job.dx = entry(b.dx, 0);
    job.gradient = static_cast<float>(double{*as(b.dy)} / shape.n);
    if (!job.dx) return;
    parallel_for(shape.n, grain,
                 [&](std::int64_t begin, std::int64_t end) { backward_range(job, begin, end); });
  });
  if (is_forward) offer.workspace_bytes = static_cast<std::size_t>(shape.n) * sizeof(double);
  if (!is_forward) offer.reads.inputs = true;
  return {offer};
}

}  // namespace daybreak
