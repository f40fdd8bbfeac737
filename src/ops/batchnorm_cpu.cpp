#include "ops/batchnorm.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/norm_rows.h"
#include "backend/cpu/planes.h"
#include "core/parallel.h"

// Forward in training reads x twice (sums; apply) and writes y once; backward reads x and dy twice
// and writes dx once. Sums are taken over chunks of samples whose borders depend on the shape only,
// around the chunk's first value, so that a large mean costs no digits of the variance; chunks are
// joined in order with Chan's formula in double.

namespace daybreak {
namespace {

// Everything the range functions need. Arrays over channels have `width` entries: all lanes in
// memory, so that blocked tensors' padding computes zeros from zeros.
struct Job {
  Planes p;
  std::int64_t samples_per_chunk = 1, chunks = 1, width = 0;
  DType dtype = DType::f32;  // of x, dy, y
  std::byte* x = nullptr;
  std::byte* dy = nullptr;
  std::byte* y = nullptr;     // or dx
  double* partial = nullptr;  // [chunks][2][width]
  NormLanes k{};
};

bool is_plain(const Planes& p) {
  return p.lanes == 1 && p.pixel_stride == 1;
}

template <typename T>
DAYBREAK_INLINE T* elements(std::byte* data, std::int64_t at) {
  return reinterpret_cast<T*>(data) + at;
}

template <int W, bool Gradient, typename T>
DAYBREAK_INLINE void reduce_rows(const Job& job, std::int64_t offset, std::int64_t n0,
                                 std::int64_t n1, int lanes, const NormLanes& k, double* a,
                                 double* b) {
  const Planes& p = job.p;
  const std::int64_t group = std::max<std::int64_t>(1, kRowsInFloat / p.pixels);
  RowSums<W, Gradient> sums;
  sums.clear();
  for (std::int64_t n = n0; n < n1; n += group) {
    const std::int64_t end = std::min(n1, n + group);
    for (std::int64_t q = 0; q < p.pixels; q += kRowsInFloat) {
      const std::int64_t rows = std::min(kRowsInFloat, p.pixels - q);
      for (std::int64_t i = n; i < end; ++i) {
        const std::int64_t at = offset + i * p.sample_stride + q * p.pixel_stride;
        sums.add(elements<const T>(job.x, at), Gradient ? elements<const T>(job.dy, at) : nullptr,
                 rows, p.pixel_stride, lanes, k);
      }
      sums.flush(lanes, a, b);
    }
  }
}

template <bool Gradient, typename T>
DAYBREAK_INLINE void reduce_plain(const Job& job, std::int64_t offset, std::int64_t n0,
                                  std::int64_t n1, const NormLanes& k, double* a, double* b) {
  constexpr int kLanes = SharedLanes::kLanes;
  const std::int64_t pixels = job.p.pixels, rows = pixels / kLanes;
  const int rest = static_cast<int>(pixels % kLanes);
  double lane_a[kLanes] = {}, lane_b[kLanes] = {};
  RowSums<kLanes, Gradient> sums;
  sums.clear();
  std::int64_t pending = 0;
  for (std::int64_t n = n0; n < n1; ++n) {
    const std::int64_t at = offset + n * job.p.sample_stride;
    for (std::int64_t r = 0; r < rows; r += kRowsInFloat) {
      const std::int64_t count = std::min(kRowsInFloat, rows - r), from = at + r * kLanes;
      sums.add(elements<const T>(job.x, from), Gradient ? elements<const T>(job.dy, from) : nullptr,
               count, kLanes, kLanes, k);
      pending += count;
      if (pending >= kRowsInFloat) {
        sums.flush(kLanes, lane_a, lane_b);
        pending = 0;
      }
    }
    const std::int64_t tail = at + rows * kLanes;
    for (int l = 0; l < rest; ++l) {
      const float d = to_float(*elements<const T>(job.x, tail + l)) - k.center[0];
      if constexpr (Gradient) {
        const float z = d * k.scale[0] + k.shift[0];
        const float gradient = to_float(*elements<const T>(job.dy, tail + l));
        const float g = z > 0.0f ? gradient : k.slope * gradient;
        lane_a[l] += g;
        lane_b[l] += g * d;
      } else {
        lane_a[l] += d;
        lane_b[l] += d * d;
      }
    }
  }
  sums.flush(kLanes, lane_a, lane_b);
  for (int l = 0; l < kLanes; ++l) {
    a[0] += lane_a[l];
    b[0] += lane_b[l];
  }
}

template <bool Gradient, typename T>
DAYBREAK_INLINE void reduce_plane(const Job& job, int plane, std::int64_t n0, std::int64_t n1,
                                  const NormLanes& k, double* a, double* b) {
  const Planes& p = job.p;
  const std::int64_t offset = p.offset(0, plane);
  const int lanes = p.lanes_at(plane);
  if (is_plain(p)) {
    const SharedLanes shared(k, 0);
    reduce_plain<Gradient, T>(job, offset, n0, n1, shared.lanes, a, b);
  } else if (lanes == 64) {
    reduce_rows<64, Gradient, T>(job, offset, n0, n1, lanes, k, a, b);
  } else if (lanes == 16) {
    reduce_rows<16, Gradient, T>(job, offset, n0, n1, lanes, k, a, b);
  } else if (lanes == 8) {
    reduce_rows<8, Gradient, T>(job, offset, n0, n1, lanes, k, a, b);
  } else {
    reduce_rows<0, Gradient, T>(job, offset, n0, n1, lanes, k, a, b);
  }
}

DAYBREAK_INLINE NormLanes lanes_from(const NormLanes& k, std::int64_t channel) {
  const auto at = [=](const float* array) { return array ? array + channel : nullptr; };
  return {at(k.center), at(k.scale), at(k.shift), at(k.k1), at(k.k2), k.slope};
}

// Tasks are (plane, chunk), chunk fastest. Leaves the mean and the sum of squares around it.
template <typename T>
DAYBREAK_INLINE void moments(const Job& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t task = begin; task < end; ++task) {
    const int plane = static_cast<int>(task / job.chunks), lanes = p.lanes_at(plane);
    const std::int64_t chunk = task % job.chunks, n0 = chunk * job.samples_per_chunk;
    const std::int64_t n1 = std::min(p.samples, n0 + job.samples_per_chunk);
    float center[kMaxLanes];
    double a[kMaxLanes] = {}, b[kMaxLanes] = {};
    const T* first = elements<const T>(job.x, p.offset(n0, plane));
    for (int l = 0; l < lanes; ++l) center[l] = to_float(first[l]);
    const NormLanes k{center, nullptr, nullptr, nullptr, nullptr, 1.0f};
    reduce_plane<false, T>(job, plane, n0, n1, k, a, b);
    const double count = static_cast<double>(n1 - n0) * static_cast<double>(p.pixels);
    double* mean = job.partial + chunk * 2 * job.width + plane * p.lanes;
    for (int l = 0; l < lanes; ++l) {
      mean[l] = center[l] + a[l] / count;
      const double squares = b[l] - a[l] * a[l] / count;
      mean[l + job.width] = squares < 0.0 ? 0.0 : squares;  // rounding; NaN stays
    }
  }
}

// Leaves the sums of g and of g * (x - mean).
template <typename T>
DAYBREAK_INLINE void gradient_sums(const Job& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t task = begin; task < end; ++task) {
    const int plane = static_cast<int>(task / job.chunks), lanes = p.lanes_at(plane);
    const std::int64_t chunk = task % job.chunks, n0 = chunk * job.samples_per_chunk;
    const std::int64_t n1 = std::min(p.samples, n0 + job.samples_per_chunk);
    double a[kMaxLanes] = {}, b[kMaxLanes] = {};
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    reduce_plane<true, T>(job, plane, n0, n1, k, a, b);
    double* out = job.partial + chunk * 2 * job.width + plane * p.lanes;
    for (int l = 0; l < lanes; ++l) {
      out[l] = a[l];
      out[l + job.width] = b[l];
    }
  }
}

// Planes counted over all samples.
template <typename T>
DAYBREAK_INLINE void apply(const Job& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % p.per_sample), lanes = p.lanes_at(plane);
    const std::int64_t at = p.offset(i), stride = p.pixel_stride;
    const T* x = elements<const T>(job.x, at);
    T* y = elements<T>(job.y, at);
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    if (is_plain(p)) {
      constexpr int kLanes = SharedLanes::kLanes;
      const SharedLanes shared(k, 0);
      const std::int64_t rows = p.pixels / kLanes, done = rows * kLanes;
      norm_apply<kLanes>(x, y, rows, kLanes, kLanes, shared.lanes);
      norm_apply<0>(x + done, y + done, 1, 0, static_cast<int>(p.pixels - done), shared.lanes);
    } else if (lanes == 64) {
      norm_apply<64>(x, y, p.pixels, stride, lanes, k);
    } else if (lanes == 16) {
      norm_apply<16>(x, y, p.pixels, stride, lanes, k);
    } else if (lanes == 8) {
      norm_apply<8>(x, y, p.pixels, stride, lanes, k);
    } else {
      norm_apply<0>(x, y, p.pixels, stride, lanes, k);
    }
  }
}

template <typename T>
DAYBREAK_INLINE void apply_gradient(const Job& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % p.per_sample), lanes = p.lanes_at(plane);
    const std::int64_t at = p.offset(i), stride = p.pixel_stride;
    const T* x = elements<const T>(job.x, at);
    const T* dy = elements<const T>(job.dy, at);
    T* dx = elements<T>(job.y, at);
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    if (is_plain(p)) {
      constexpr int kLanes = SharedLanes::kLanes;
      const SharedLanes shared(k, 0);
      const std::int64_t rows = p.pixels / kLanes, done = rows * kLanes;
      norm_apply_gradient<kLanes>(x, dy, dx, rows, kLanes, kLanes, shared.lanes);
      norm_apply_gradient<0>(x + done, dy + done, dx + done, 1, 0,
                             static_cast<int>(p.pixels - done), shared.lanes);
    } else if (lanes == 64) {
      norm_apply_gradient<64>(x, dy, dx, p.pixels, stride, lanes, k);
    } else if (lanes == 16) {
      norm_apply_gradient<16>(x, dy, dx, p.pixels, stride, lanes, k);
    } else if (lanes == 8) {
      norm_apply_gradient<8>(x, dy, dx, p.pixels, stride, lanes, k);
    } else {
      norm_apply_gradient<0>(x, dy, dx, p.pixels, stride, lanes, k);
    }
  }
}

DAYBREAK_MULTIARCH void moments_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype,
               [&](auto tag) DAYBREAK_INLINE_LAMBDA { moments<decltype(tag)>(job, begin, end); });
}

DAYBREAK_MULTIARCH void gradient_sums_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    gradient_sums<decltype(tag)>(job, begin, end);
  });
}

DAYBREAK_MULTIARCH void apply_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype,
               [&](auto tag) DAYBREAK_INLINE_LAMBDA { apply<decltype(tag)>(job, begin, end); });
}

DAYBREAK_MULTIARCH void apply_gradient_range(const Job& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    apply_gradient<decltype(tag)>(job, begin, end);
  });
}

struct Moments {
  double mean, squares;  // squares: summed around the mean
};

// Chan, Golub, LeVeque 1983: joins the chunks' moments in order.
Moments join(const Job& job, std::int64_t channel) {
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
           (static_cast<std::size_t>(chunks) * 2 * sizeof(double) + 5 * sizeof(float));
  }

  const float* scale(const Bindings& b) const { return op.affine ? as(b.w[0]) : nullptr; }
  const float* shift(const Bindings& b) const { return op.affine ? as(b.w[1]) : nullptr; }
  float* running_mean(const Bindings& b) const { return as(b.w[op.affine ? 2 : 0]); }
  float* running_var(const Bindings& b) const { return as(b.w[op.affine ? 3 : 1]); }

  // The five arrays of constants in the workspace, zeroed beyond the last channel.
  float* constants(const Bindings& b, int which) const {
    float* first = as(b.workspace + width * chunks * 2 * sizeof(double));
    return first + which * width;
  }

  Job job(const Bindings& b) const {
    Job j;
    j.p = p;
    j.dtype = dtype;
    j.samples_per_chunk = samples_per_chunk;
    j.chunks = chunks;
    j.width = width;
    j.partial = as<double>(b.workspace);
    const float slope = op.act.kind == ActKind::relu    ? 0.0f
                        : op.act.kind == ActKind::leaky ? op.act.slope
                                                        : 1.0f;
    j.k = {constants(b, 0), constants(b, 1), constants(b, 2),
           constants(b, 3), constants(b, 4), slope};
    return j;
  }

  void set_constants(const Bindings& b, int c, double mean, double invstd) const {
    constants(b, 0)[c] = static_cast<float>(mean);
    constants(b, 1)[c] = (scale(b) ? scale(b)[c] : 1.0f) * static_cast<float>(invstd);
    constants(b, 2)[c] = shift(b) ? shift(b)[c] : 0.0f;
  }

  void clear_constants(const Bindings& b) const {
    std::fill(constants(b, 0), constants(b, 0) + 5 * width, 0.0f);
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

  void from_batch(const Bindings& b, const Job& job) const {
    parallel_for(p.per_sample * chunks, reduce_grain(),
                 [&](std::int64_t begin, std::int64_t end) { moments_range(job, begin, end); });
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
    Job j = job(b);
    j.x = b.x[0];
    j.y = b.y;
    clear_constants(b);
    if (mode == Mode::train) {
      from_batch(b, j);
    } else {
      from_running(b);
    }
    parallel_for(p.count(), apply_grain(),
                 [&](std::int64_t begin, std::int64_t end) { apply_range(j, begin, end); });
  }

  // Sums the chunks, writes the parameters' gradients and the constants of dx.
  void finish_sums(const Bindings& b, const Job& j) const {
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

  void backward(const Bindings& b) const {
    Job j = job(b);
    j.x = b.x[0];
    j.dy = b.dy;
    j.y = entry<std::byte>(b.dx, 0);
    clear_constants(b);
    if (mode == Mode::train) {
      const float* aux = as(b.aux);
      for (int c = 0; c < p.channels; ++c) set_constants(b, c, aux[c], aux[p.channels + c]);
    } else {
      from_running(b);
    }
    parallel_for(p.per_sample * chunks, reduce_grain(),
                 [&](std::int64_t begin, std::int64_t end) { gradient_sums_range(j, begin, end); });
    finish_sums(b, j);
    if (!j.y) return;
    parallel_for(p.count(), apply_grain(), [&](std::int64_t begin, std::int64_t end) {
      apply_gradient_range(j, begin, end);
    });
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
    offer.in_place = !train;  // backward reads the input
  } else {
    offer.reads = {.inputs = true, .aux = train};
    offer.in_place = true;
  }
  return {offer};
}

}  // namespace daybreak
