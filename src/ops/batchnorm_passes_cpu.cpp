#include "ops/batchnorm_passes_cpu.h"

#include <algorithm>

#include "core/multiarch.h"

namespace daybreak {
namespace {

bool is_plain(const Planes& p) {
  return p.lanes == 1 && p.pixel_stride == 1;
}

template <typename T>
DAYBREAK_INLINE T* elements(std::byte* data, std::int64_t at) {
  return reinterpret_cast<T*>(data) + at;
}

template <typename T>
DAYBREAK_INLINE GradientRows<T> rows_at(const NormJob& job, std::int64_t at) {
  const GradientRows<T> first{elements<const T>(job.x, 0), elements<const T>(job.residual, 0),
                              elements<const T>(job.dy, 0)};
  return first.at(at);
}

template <int W, RowSource S, typename T>
DAYBREAK_INLINE void reduce_rows(const NormJob& job, std::int64_t offset, std::int64_t n0,
                                 std::int64_t n1, int lanes, const NormLanes& k, double* a,
                                 double* b) {
  const Planes& p = job.p;
  const std::int64_t group = std::max<std::int64_t>(1, kRowsInFloat / p.pixels);
  RowSums<W, S> sums;
  sums.clear();
  for (std::int64_t n = n0; n < n1; n += group) {
    const std::int64_t end = std::min(n1, n + group);
    for (std::int64_t q = 0; q < p.pixels; q += kRowsInFloat) {
      const std::int64_t rows = std::min(kRowsInFloat, p.pixels - q);
      for (std::int64_t i = n; i < end; ++i) {
        const std::int64_t at = offset + i * p.sample_stride + q * p.pixel_stride;
        sums.add(rows_at<T>(job, at), rows, p.pixel_stride, lanes, k);
      }
      sums.flush(lanes, a, b);
    }
  }
}

template <RowSource S, typename T>
DAYBREAK_INLINE void reduce_plain(const NormJob& job, std::int64_t offset, std::int64_t n0,
                                  std::int64_t n1, const NormLanes& k, double* a, double* b) {
  constexpr int kLanes = SharedLanes::kLanes;
  const std::int64_t pixels = job.p.pixels, rows = pixels / kLanes;
  const int rest = static_cast<int>(pixels % kLanes);
  double lane_a[kLanes] = {}, lane_b[kLanes] = {};
  RowSums<kLanes, S> sums;
  sums.clear();
  std::int64_t pending = 0;
  for (std::int64_t n = n0; n < n1; ++n) {
    const std::int64_t at = offset + n * job.p.sample_stride;
    for (std::int64_t r = 0; r < rows; r += kRowsInFloat) {
      const std::int64_t count = std::min(kRowsInFloat, rows - r), from = at + r * kLanes;
      sums.add(rows_at<T>(job, from), count, kLanes, kLanes, k);
      pending += count;
      if (pending >= kRowsInFloat) {
        sums.flush(kLanes, lane_a, lane_b);
        pending = 0;
      }
    }
    const std::int64_t tail = at + rows * kLanes;
    for (int l = 0; l < rest; ++l) {
      const GradientRows<T> in = rows_at<T>(job, tail + l);
      if constexpr (S == RowSource::moments) {
        const float d = to_float(in.x[0]) - k.center[0];
        lane_a[l] += d;
        lane_b[l] += d * d;
      } else {
        const RowPoint point = gradient_point<S>(in, 0, k);
        lane_a[l] += point.g;
        lane_b[l] += point.g * point.d;
      }
    }
  }
  sums.flush(kLanes, lane_a, lane_b);
  for (int l = 0; l < kLanes; ++l) {
    a[0] += lane_a[l];
    b[0] += lane_b[l];
  }
}

template <RowSource S, typename T>
DAYBREAK_INLINE void reduce_plane(const NormJob& job, int plane, std::int64_t n0, std::int64_t n1,
                                  const NormLanes& k, double* a, double* b) {
  const Planes& p = job.p;
  const std::int64_t offset = p.offset(0, plane);
  const int lanes = p.lanes_at(plane);
  if (is_plain(p)) {
    const SharedLanes shared(k, 0);
    reduce_plain<S, T>(job, offset, n0, n1, shared.lanes, a, b);
  } else if (lanes == 64) {
    reduce_rows<64, S, T>(job, offset, n0, n1, lanes, k, a, b);
  } else if (lanes == 16) {
    reduce_rows<16, S, T>(job, offset, n0, n1, lanes, k, a, b);
  } else if (lanes == 8) {
    reduce_rows<8, S, T>(job, offset, n0, n1, lanes, k, a, b);
  } else {
    reduce_rows<0, S, T>(job, offset, n0, n1, lanes, k, a, b);
  }
}

DAYBREAK_INLINE NormLanes lanes_from(const NormLanes& k, std::int64_t channel) {
  const auto at = [=](const float* array) { return array ? array + channel : nullptr; };
  return {at(k.center), at(k.scale), at(k.shift), at(k.k1), at(k.k2), k.slope, at(k.inverse), k.up};
}

// Tasks are (plane, chunk), chunk fastest. Leaves the mean and the sum of squares around it.
template <typename T>
DAYBREAK_INLINE void moments(const NormJob& job, std::int64_t begin, std::int64_t end) {
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
    reduce_plane<RowSource::moments, T>(job, plane, n0, n1, k, a, b);
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
template <RowSource S, typename T>
DAYBREAK_INLINE void gradient_sums(const NormJob& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t task = begin; task < end; ++task) {
    const int plane = static_cast<int>(task / job.chunks), lanes = p.lanes_at(plane);
    const std::int64_t chunk = task % job.chunks, n0 = chunk * job.samples_per_chunk;
    const std::int64_t n1 = std::min(p.samples, n0 + job.samples_per_chunk);
    double a[kMaxLanes] = {}, b[kMaxLanes] = {};
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    reduce_plane<S, T>(job, plane, n0, n1, k, a, b);
    double* out = job.partial + chunk * 2 * job.width + plane * p.lanes;
    for (int l = 0; l < lanes; ++l) {
      out[l] = a[l];
      out[l + job.width] = b[l];
    }
  }
}

// Planes counted over all samples.
template <bool Sum, typename T>
DAYBREAK_INLINE void apply(const NormJob& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % p.per_sample), lanes = p.lanes_at(plane);
    const std::int64_t at = p.offset(i), stride = p.pixel_stride;
    const T* x = elements<const T>(job.x, at);
    const T* r = Sum ? elements<const T>(job.residual, at) : x;
    T* y = elements<T>(job.y, at);
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    if (is_plain(p)) {
      constexpr int kLanes = SharedLanes::kLanes;
      const SharedLanes shared(k, 0);
      const std::int64_t rows = p.pixels / kLanes, done = rows * kLanes;
      norm_apply<kLanes, Sum>(x, r, y, rows, kLanes, kLanes, shared.lanes);
      norm_apply<0, Sum>(x + done, r + done, y + done, 1, 0, static_cast<int>(p.pixels - done),
                         shared.lanes);
    } else if (lanes == 64) {
      norm_apply<64, Sum>(x, r, y, p.pixels, stride, lanes, k);
    } else if (lanes == 16) {
      norm_apply<16, Sum>(x, r, y, p.pixels, stride, lanes, k);
    } else if (lanes == 8) {
      norm_apply<8, Sum>(x, r, y, p.pixels, stride, lanes, k);
    } else {
      norm_apply<0, Sum>(x, r, y, p.pixels, stride, lanes, k);
    }
  }
}

template <RowSource S, typename T>
DAYBREAK_INLINE void apply_gradient(const NormJob& job, std::int64_t begin, std::int64_t end) {
  const Planes& p = job.p;
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % p.per_sample), lanes = p.lanes_at(plane);
    const std::int64_t at = p.offset(i), stride = p.pixel_stride;
    const GradientRows<T> in = rows_at<T>(job, at);
    T* dx = elements<T>(job.y, at);
    const NormLanes k = lanes_from(job.k, std::int64_t{plane} * p.lanes);
    if (is_plain(p)) {
      constexpr int kLanes = SharedLanes::kLanes;
      const SharedLanes shared(k, 0);
      const std::int64_t rows = p.pixels / kLanes, done = rows * kLanes;
      norm_apply_gradient<kLanes, S>(in, dx, rows, kLanes, kLanes, shared.lanes);
      norm_apply_gradient<0, S>(in.at(done), dx + done, 1, 0, static_cast<int>(p.pixels - done),
                                shared.lanes);
    } else if (lanes == 64) {
      norm_apply_gradient<64, S>(in, dx, p.pixels, stride, lanes, k);
    } else if (lanes == 16) {
      norm_apply_gradient<16, S>(in, dx, p.pixels, stride, lanes, k);
    } else if (lanes == 8) {
      norm_apply_gradient<8, S>(in, dx, p.pixels, stride, lanes, k);
    } else {
      norm_apply_gradient<0, S>(in, dx, p.pixels, stride, lanes, k);
    }
  }
}

// Calls body<S>(element type) for the job's types and source of gradients.
template <typename Body>
DAYBREAK_INLINE void with_source(const NormJob& job, Body&& body) {
  if (job.source == RowSource::output) {
    body.template operator()<RowSource::output>(float{});
  } else if (job.source == RowSource::sum) {
    body.template operator()<RowSource::sum>(float{});
  } else if (job.dtype == DType::bf16) {
    body.template operator()<RowSource::input>(Bf16{});
  } else {
    body.template operator()<RowSource::input>(float{});
  }
}

}  // namespace

DAYBREAK_MULTIARCH void norm_moments(const NormJob& job, std::int64_t begin, std::int64_t end) {
  with_storage(job.dtype,
               [&](auto tag) DAYBREAK_INLINE_LAMBDA { moments<decltype(tag)>(job, begin, end); });
}

DAYBREAK_MULTIARCH void norm_gradient_sums(const NormJob& job, std::int64_t begin,
                                           std::int64_t end) {
  with_source(job, [&]<RowSource S, typename T>(T)
                       DAYBREAK_INLINE_LAMBDA { gradient_sums<S, T>(job, begin, end); });
}

DAYBREAK_MULTIARCH void norm_values(const NormJob& job, std::int64_t begin, std::int64_t end) {
  if (job.residual) {
    apply<true, float>(job, begin, end);
    return;
  }
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    apply<false, decltype(tag)>(job, begin, end);
  });
}

DAYBREAK_MULTIARCH void norm_gradients(const NormJob& job, std::int64_t begin, std::int64_t end) {
  with_source(job, [&]<RowSource S, typename T>(T)
                       DAYBREAK_INLINE_LAMBDA { apply_gradient<S, T>(job, begin, end); });
}

}  // namespace daybreak
