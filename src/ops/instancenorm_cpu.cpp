#include "ops/instancenorm.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/norm_rows.h"
#include "backend/cpu/planes.h"
#include "core/parallel.h"

// Every plane (the lanes of one sample) is reduced and written while it is in cache. Sums are taken
// around the plane's first pixel; parameter gradients are kept per sample in the workspace and
// added in order.

namespace daybreak {
namespace {

struct Job {
  Planes p;
  double eps = 1e-5;
  const float* x = nullptr;
  const float* dy = nullptr;
  float* y = nullptr;            // or dx
  const float* scale = nullptr;  // [channels] or null
  const float* shift = nullptr;
  float* mean = nullptr;  // [N, C], aux; may be null forward
  float* invstd = nullptr;
  double* dscale = nullptr;  // [N, C] in the workspace
  double* dshift = nullptr;
};

// Two sums over a plane's pixels around k.center; for a plain plane into entry 0.
template <int W, RowSource S>
DAYBREAK_INLINE void reduce(const Job& job, std::int64_t at, int lanes, const NormLanes& k,
                            double* a, double* b) {
  const Planes& p = job.p;
  RowSums<W, S> sums;
  sums.clear();
  for (std::int64_t q = 0; q < p.pixels; q += kRowsInFloat) {
    const std::int64_t from = at + q * p.pixel_stride;
    sums.add(GradientRows<float>{job.x, nullptr, job.dy}.at(from),
             std::min(kRowsInFloat, p.pixels - q), p.pixel_stride, lanes, k);
    sums.flush(lanes, a, b);
  }
}

struct PlaneConstants {
  float center[kMaxLanes] = {}, scale[kMaxLanes] = {}, shift[kMaxLanes] = {};
  float k1[kMaxLanes] = {}, k2[kMaxLanes] = {};
  DAYBREAK_INLINE NormLanes lanes() const { return {center, scale, shift, k1, k2, 1.0f}; }
};

template <int W>
DAYBREAK_INLINE void forward_plane(const Job& job, std::int64_t index, int lanes) {
  const Planes& p = job.p;
  const std::int64_t at = p.offset(index), sample = index / p.per_sample;
  const int plane = static_cast<int>(index % p.per_sample), used = p.channels_at(plane);
  const int first = plane * p.lanes;
  PlaneConstants k;
  double a[kMaxLanes] = {}, b[kMaxLanes] = {};
  for (int l = 0; l < lanes; ++l) k.center[l] = job.x[at + l];
  reduce<W, RowSource::moments>(job, at, lanes, k.lanes(), a, b);
  const double count = static_cast<double>(p.pixels);
  for (int l = 0; l < lanes; ++l) {
    const double mean = k.center[l] + a[l] / count;
    const double squares = b[l] - a[l] * a[l] / count;
    const double invstd = 1.0 / std::sqrt((squares < 0.0 ? 0.0 : squares) / count + job.eps);
    k.center[l] = static_cast<float>(mean);
    if (l >= used) continue;  // scale and shift of the padding stay 0
    k.scale[l] = static_cast<float>(invstd) * (job.scale ? job.scale[first + l] : 1.0f);
    k.shift[l] = job.shift ? job.shift[first + l] : 0.0f;
    if (!job.mean) continue;
    job.mean[sample * p.channels + first + l] = static_cast<float>(mean);
    job.invstd[sample * p.channels + first + l] = static_cast<float>(invstd);
  }
  norm_apply<W>(job.x + at, static_cast<const float*>(nullptr), job.y + at, p.pixels,
                p.pixel_stride, lanes, k.lanes());
}

template <int W>
DAYBREAK_INLINE void backward_plane(const Job& job, std::int64_t index, int lanes) {
  const Planes& p = job.p;
  const std::int64_t at = p.offset(index), sample = index / p.per_sample;
  const int plane = static_cast<int>(index % p.per_sample), used = p.channels_at(plane);
  const int first = plane * p.lanes;
  const std::int64_t row = sample * p.channels + first;
  PlaneConstants k;
  double a[kMaxLanes] = {}, b[kMaxLanes] = {};
  for (int l = 0; l < used; ++l) {
    k.center[l] = job.mean[row + l];
    k.scale[l] = job.invstd[row + l] * (job.scale ? job.scale[first + l] : 1.0f);
  }
  reduce<W, RowSource::input>(job, at, lanes, k.lanes(), a, b);
  const double count = static_cast<double>(p.pixels);
  for (int l = 0; l < used; ++l) {
    const double invstd = job.invstd[row + l];
    if (job.dscale) job.dscale[row + l] = b[l] * invstd;
    if (job.dshift) job.dshift[row + l] = a[l];
    k.k1[l] = static_cast<float>(a[l] / count);
    k.k2[l] = static_cast<float>(invstd * invstd * b[l] / count);
  }
  if (!job.y) return;
  norm_apply_gradient<W, RowSource::input>(GradientRows<float>{job.x, nullptr, job.dy}.at(at),
                                           job.y + at, p.pixels, p.pixel_stride, lanes, k.lanes());
}

template <bool Forward>
DAYBREAK_INLINE void planes(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int lanes = job.p.lanes_at(static_cast<int>(i % job.p.per_sample));
    if (lanes == 16) {
      Forward ? forward_plane<16>(job, i, lanes) : backward_plane<16>(job, i, lanes);
    } else if (lanes == 8) {
      Forward ? forward_plane<8>(job, i, lanes) : backward_plane<8>(job, i, lanes);
    } else {
      Forward ? forward_plane<0>(job, i, lanes) : backward_plane<0>(job, i, lanes);
    }
  }
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  planes<true>(job, begin, end);
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  planes<false>(job, begin, end);
}

void add_samples(const double* parts, const Planes& p, float* out) {
  for (int c = 0; c < p.channels; ++c) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < p.samples; ++n) sum += parts[n * p.channels + c];
    out[c] = static_cast<float>(sum);
  }
}

void run(const Job& shape, bool affine, bool is_forward, const Bindings& b) {
  Job job = shape;
  const Planes& p = job.p;
  job.x = as(b.x[0]);
  job.scale = affine ? as(b.w[0]) : nullptr;
  job.shift = affine ? as(b.w[1]) : nullptr;
  job.mean = as(b.aux);
  if (job.mean) job.invstd = job.mean + p.samples * p.channels;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (p.pixels * p.lanes));
  if (is_forward) {
    job.y = as(b.y);
    parallel_for(p.count(), grain,
                 [&](std::int64_t begin, std::int64_t end) { forward_range(job, begin, end); });
    return;
  }
  job.dy = as(b.dy);
  job.y = entry(b.dx, 0);
  float* dscale = affine ? entry(b.dw, 0) : nullptr;
  float* dshift = affine ? entry(b.dw, 1) : nullptr;
  if (dscale) job.dscale = as<double>(b.workspace);
  if (dshift) job.dshift = as<double>(b.workspace) + p.samples * p.channels;
  parallel_for(p.count(), grain,
               [&](std::int64_t begin, std::int64_t end) { backward_range(job, begin, end); });
  if (dscale) add_samples(job.dscale, p, dscale);
  if (dshift) add_samples(job.dshift, p, dshift);
}

}  // namespace

CpuOffers instancenorm_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const InstanceNorm& op = static_cast<const InstanceNorm&>(*query.op);
  const Layout layout = own_layout(query);
  Job shape;
  shape.p = make_planes(query.inputs[0].shape, layout, context.block);
  shape.eps = op.eps;
  const bool is_forward = query.pass == Pass::forward, affine = op.affine;
  KernelOffer offer = own_offer(context, query, "instancenorm", layout,
                                [=](const Bindings& b) { run(shape, affine, is_forward, b); });
  const std::size_t rows = 2 * static_cast<std::size_t>(shape.p.samples) * shape.p.channels;
  if (is_forward) {
    if (query.mode == Mode::train) offer.aux_bytes = rows * sizeof(float);
    offer.in_place = query.mode == Mode::eval;  // backward reads the input
  } else {
    offer.reads = {.inputs = true, .aux = true};
    offer.workspace_bytes = affine ? rows * sizeof(double) : 0;
    offer.in_place = true;
  }
  return {offer};
}

}  // namespace daybreak
