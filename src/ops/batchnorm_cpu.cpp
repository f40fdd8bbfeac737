#include "ops/batchnorm.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernel.h"
#include "core/parallel.h"
#include "ops/batchnorm_passes_cpu.h"

// Forward in training reads x twice (sums; apply) and writes y once; backward reads x and dy twice
// and writes dx once. Sums are taken over chunks of samples whose borders depend on the shape only,
// around the chunk's first value, so that a large mean costs no digits of the variance; chunks are
// joined in order with Chan's formula in double.

namespace daybreak {
namespace {

struct Moments {
  double mean, squares;  // squares: summed around the mean
};

// Chan, Golub, LeVeque 1983: joins the chunks' moments in order.
Moments join(const NormJob& job, std::int64_t channel) {
  double count = 0.0, mean = 0.0, squares = 0.0;
  for (std::int64_t chunk = 0; chunk < job.chunks; ++chunk) {
    const std::int64_t n0 = chunk * job.samples_per_chunk;
    const std::int64_t n1 = std::min(job.p.samples, n0 + job.samples_per_chunk);
    const double m = static_cast<double>(n1 - n0) * static_cast<double>(job.p.pixels);
    const double* partial = job.partial + chunk * 2 * job.width + channel;
    const double delta = partial[0] - mean, total = count + m;
    squares += partial[job.width] + delta * delta * count * m / total;
    mean += delta * m / total;
    count = total;
  }
  return {mean, squares};
}

// Shapes, attributes and workspace of one batch norm; builds the jobs of every call.
struct Norm {
  BatchNorm op;
  Planes p;
  DType dtype = DType::f32;
  Mode mode = Mode::train;
  std::int64_t samples_per_chunk = 1, chunks = 1, width = 0;

  std::size_t workspace_bytes() const {
    return static_cast<std::size_t>(width) *
           (static_cast<std::size_t>(chunks) * 2 * sizeof(double) + 6 * sizeof(float));
  }

  const float* scale(const Bindings& b) const { return op.affine ? as(b.w[0]) : nullptr; }
  const float* shift(const Bindings& b) const { return op.affine ? as(b.w[1]) : nullptr; }
  float* running_mean(const Bindings& b) const { return as(b.w[op.affine ? 2 : 0]); }
  float* running_var(const Bindings& b) const { return as(b.w[op.affine ? 3 : 1]); }

  // The six arrays of constants in the workspace, zeroed beyond the last channel.
  float* constants(const Bindings& b, int which) const {
    float* first = as(b.workspace + width * chunks * 2 * sizeof(double));
    return first + which * width;
  }

  NormJob job(const Bindings& b) const {
    NormJob j;
    j.p = p;
    j.dtype = dtype;
    j.samples_per_chunk = samples_per_chunk;
    j.chunks = chunks;
    j.width = width;
    j.partial = as<double>(b.workspace);
    const float slope = op.act.kind == ActKind::relu    ? 0.0f
                        : op.act.kind == ActKind::leaky ? op.act.slope
                                                        : 1.0f;
    j.k = {constants(b, 0), constants(b, 1), constants(b, 2), constants(b, 3),
           constants(b, 4), slope,           constants(b, 5), slope > 0.0f ? 1.0f / slope : 1.0f};
    if (op.in_place) j.source = op.sum ? RowSource::sum : RowSource::output;
    if (op.sum) j.residual = b.x[1];
    return j;
  }

  void set_constants(const Bindings& b, int c, double mean, double invstd) const {
    const float gamma = scale(b) ? scale(b)[c] : 1.0f, beta = shift(b) ? shift(b)[c] : 0.0f;
    constants(b, 0)[c] = static_cast<float>(mean);
    constants(b, 1)[c] = gamma * static_cast<float>(invstd);
    constants(b, 2)[c] = beta;
    const bool found = op.in_place && recoverable(gamma, beta);
    constants(b, 5)[c] = found ? static_cast<float>(1.0 / (gamma * invstd)) : 0.0f;
  }

  void clear_constants(const Bindings& b) const {
    std::fill(constants(b, 0), constants(b, 0) + 6 * width, 0.0f);
  }

  std::int64_t reduce_grain() const {
    return std::max<std::int64_t>(1, kGrain / (samples_per_chunk * p.pixels * p.lanes));
  }
  std::int64_t apply_grain() const {
    return std::max<std::int64_t>(1, kGrain / (p.pixels * p.lanes));
  }

  void from_running(const Bindings& b) const {
    for (int c = 0; c < p.channels; ++c) {
      set_constants(b, c, running_mean(b)[c], 1.0 / std::sqrt(double{running_var(b)[c]} + op.eps));
    }
  }

  void from_batch(const Bindings& b, const NormJob& job) const {
    parallel_for(p.per_sample * chunks, reduce_grain(),
                 [&](std::int64_t begin, std::int64_t end) { norm_moments(job, begin, end); });
    const double count = static_cast<double>(p.samples) * static_cast<double>(p.pixels);
    const double m = op.momentum;
    float* aux = as(b.aux);
    for (int c = 0; c < p.channels; ++c) {
      const Moments moments = join(job, c);
      const double var = moments.squares / count;
      const double invstd = 1.0 / std::sqrt(var + op.eps);
      float& mean_value = running_mean(b)[c];
      float& var_value = running_var(b)[c];
      mean_value = static_cast<float>((1.0 - m) * mean_value + m * moments.mean);
      var_value = static_cast<float>((1.0 - m) * var_value + m * var * count / (count - 1.0));
      set_constants(b, c, moments.mean, invstd);
      if (!aux) continue;
      aux[c] = static_cast<float>(moments.mean);
      aux[p.channels + c] = static_cast<float>(invstd);
    }
  }

  void forward(const Bindings& b) const {
    NormJob j = job(b);
    j.x = b.x[0];
    j.y = b.y;
    clear_constants(b);
    if (mode == Mode::train) {
      from_batch(b, j);
    } else {
      from_running(b);
    }
    parallel_for(p.count(), apply_grain(),
                 [&](std::int64_t begin, std::int64_t end) { norm_values(j, begin, end); });
  }

  // Sums the chunks, writes the parameters' gradients and the constants of dx.
  void finish_sums(const Bindings& b, const NormJob& j) const {
    const double count = static_cast<double>(p.samples) * static_cast<double>(p.pixels);
    float* dscale = op.affine ? entry(b.dw, 0) : nullptr;
    float* dshift = op.affine ? entry(b.dw, 1) : nullptr;
    for (int c = 0; c < p.channels; ++c) {
      double sum = 0.0, product = 0.0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        sum += j.partial[chunk * 2 * width + c];
        product += j.partial[(chunk * 2 + 1) * width + c];
      }
      const double invstd = mode == Mode::train
                                ? double{as(b.aux)[p.channels + c]}
                                : 1.0 / std::sqrt(double{running_var(b)[c]} + op.eps);
      if (dscale) dscale[c] = static_cast<float>(product * invstd);
      if (dshift) dshift[c] = static_cast<float>(sum);
      if (mode == Mode::eval) continue;  // running statistics do not depend on x
      constants(b, 3)[c] = static_cast<float>(sum / count);
      constants(b, 4)[c] = static_cast<float>(invstd * invstd * product / count);
    }
  }

  // The residual's gradient; the plan shares dy instead where it can.
  void copy_gradient(const Bindings& b) const {
    std::byte* to = entry<std::byte>(b.dx, 1);
    if (!to) return;
    const std::int64_t count = p.samples * p.sample_stride;
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::copy(as(b.dy) + begin, as(b.dy) + end, as(to) + begin);
    });
  }

  void backward(const Bindings& b) const {
    NormJob j = job(b);
    j.x = op.in_place ? b.y : b.x[0];
    j.dy = b.dy;
    copy_gradient(b);
    j.y = entry<std::byte>(b.dx, 0);
    clear_constants(b);
    if (mode == Mode::train) {
      const float* aux = as(b.aux);
      for (int c = 0; c < p.channels; ++c) set_constants(b, c, aux[c], aux[p.channels + c]);
    } else {
      from_running(b);
    }
    parallel_for(p.per_sample * chunks, reduce_grain(),
                 [&](std::int64_t begin, std::int64_t end) { norm_gradient_sums(j, begin, end); });
    finish_sums(b, j);
    if (!j.y) return;
    parallel_for(p.count(), apply_grain(),
                 [&](std::int64_t begin, std::int64_t end) { norm_gradients(j, begin, end); });
  }
};

}  // namespace

CpuOffers batchnorm_cpu_offers(const CpuContext& context, const KernelQuery& query,
                               std::string* reason) {
  Norm norm;
  norm.op = static_cast<const BatchNorm&>(*query.op);
  const ActKind act = norm.op.act.kind;
  if (act != ActKind::none && act != ActKind::relu && act != ActKind::leaky) {
    if (reason) *reason = "batch norm can be fused with relu and leaky relu only";
    return {};
  }
  if (norm.op.act_last || (norm.op.chained && query.pass == Pass::backward)) {
    if (reason) *reason = "batch norm has its activation before the sum, and sums gradients itself";
    return {};
  }
  if ((norm.op.in_place || norm.op.sum) && query.inputs[0].dtype != DType::f32) {
    if (reason) *reason = "batch norm works in place and adds a residual in f32 only";
    return {};
  }
  const Shape shape = query.inputs[0].shape;
  const Layout layout = own_layout(query);
  norm.p = make_planes(shape, layout, context.block, shape.c % 64 == 0 ? 64 : 16);
  norm.dtype = query.inputs[0].dtype;
  norm.mode = query.mode;
  norm.width = norm.p.lanes_in_memory();
  norm.samples_per_chunk = std::max<std::int64_t>(1, (4096 + norm.p.pixels - 1) / norm.p.pixels);
  norm.chunks = (norm.p.samples + norm.samples_per_chunk - 1) / norm.samples_per_chunk;
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer =
      own_offer(context, query, "batchnorm", layout, [norm, is_forward](const Bindings& b) {
        if (is_forward) {
          norm.forward(b);
        } else {
          norm.backward(b);
        }
      });
  offer.workspace_bytes = norm.workspace_bytes();
  const bool train = query.mode == Mode::train;
  if (is_forward) {
    if (train) offer.aux_bytes = 2 * static_cast<std::size_t>(shape.c) * sizeof(float);
    offer.in_place = !train || norm.op.in_place;  // else backward reads the input
  } else {
    offer.reads = norm.op.backward_reads();
    offer.reads.aux = train;
    offer.in_place = true;
  }
  return {offer};
}

}  // namespace daybreak
