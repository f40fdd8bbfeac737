#include "ops/softmax_xent.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/softmax_rows.h"
#include "core/parallel.h"

// A sample at a time: its probabilities are kept for backward, its loss goes to the workspace, and
// the losses are summed in order in double.

namespace daybreak {
namespace {

struct Job {
  std::int64_t classes = 1;
  double smoothing = 0.0;
  const float* x = nullptr;
  const std::int32_t* labels = nullptr;
  float* p = nullptr;  // softmax, or null
  double* losses = nullptr;
  float* dx = nullptr;
  float gradient = 0.0f;  // dy / N
};

// loss = log sum exp(z) - (1 - e) z_label - e mean(z), written with z relative to its maximum.
DAYBREAK_INLINE double sample_loss(const Job& job, const float* z, std::int32_t label) {
  const double most = largest(z, job.classes);
  double sum = 0.0, all = 0.0;
  for (std::int64_t k = 0; k < job.classes; ++k) {
    sum += std::exp(z[k] - most);
    if (job.smoothing != 0.0) all += z[k] - most;
  }
  const double log_sum = std::log(sum);
  double loss = job.smoothing != 0.0 ? job.smoothing * (log_sum - all / job.classes) : 0.0;
  if (job.smoothing != 1.0) loss += (1.0 - job.smoothing) * (log_sum - (z[label] - most));
  return loss;
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const float* z = job.x + n * job.classes;
    job.losses[n] = sample_loss(job, z, job.labels[n]);
    if (job.p) softmax_row(z, job.p + n * job.classes, job.classes);
  }
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  const float spread = static_cast<float>(job.smoothing / static_cast<double>(job.classes));
  const float g = job.gradient;
  for (std::int64_t n = begin; n < end; ++n) {
    const float* p = job.p + n * job.classes;
    float* dx = job.dx + n * job.classes;
    const float at_label = p[job.labels[n]];
#pragma omp simd
    for (std::int64_t k = 0; k < job.classes; ++k) dx[k] = g * (p[k] - spread);
    const double target = 1.0 - job.smoothing + job.smoothing / static_cast<double>(job.classes);
    dx[job.labels[n]] = static_cast<float>(g * (at_label - target));
  }
}

}  // namespace

CpuOffers softmax_xent_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Shape shape = query.inputs[0].shape;
  const double smoothing = static_cast<const SoftmaxXent&>(*query.op).label_smoothing;
  const bool is_forward = query.pass == Pass::forward;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / 8 / shape.c);
  KernelOffer offer = own_offer(context, query, "softmax_xent", kNchw, [=](const Bindings& b) {
    Job job;
    job.classes = shape.c;
    job.smoothing = smoothing;
    job.x = as(b.x[0]);
    job.labels = as<const std::int32_t>(b.x[1]);
    job.p = as(b.aux);
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
  if (is_forward) {
    offer.workspace_bytes = static_cast<std::size_t>(shape.n) * sizeof(double);
    if (query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(shape.n) * shape.c * sizeof(float);
    }
  } else {
    offer.reads = {.inputs = true, .aux = true};  // of the inputs the labels only
  }
  return {offer};
}

}  // namespace daybreak
