#include "ops/pool.h"

#include <algorithm>
#include <limits>

#include "backend/cpu/kernel.h"
#include "backend/cpu/lanes.h"
#include "core/parallel.h"

// One plane of channels at a time, all channels of a pixel side by side in vector registers. A
// maximum's winner is kept as its number within the window, in the order of the output's memory:
// one byte for windows of up to 256 pixels, else four.

namespace daybreak {
namespace {

struct Job {
  Pool op;
  Planes in, out;
  DType dtype = DType::f32;  // of x and y
  std::byte* x = nullptr;    // or dy
  std::byte* y = nullptr;    // or dx
  std::byte* winners = nullptr;
};

struct Window {
  int top, left;       // may be negative
  int h0, h1, w0, w1;  // inside the picture
  float divisor;
};

DAYBREAK_INLINE Window window(const Pool& op, const Planes& in, int oh, int ow) {
  Window win;
  win.top = oh * op.stride_h - op.pad_top;
  win.left = ow * op.stride_w - op.pad_left;
  win.h0 = std::max(win.top, 0);
  win.w0 = std::max(win.left, 0);
  win.h1 = std::min(win.top + op.size_h, in.height);
  win.w1 = std::min(win.left + op.size_w, in.width);
  // Ceil mode may reach beyond the padding; that part never counts.
  const int padded_h = std::min(win.top + op.size_h, in.height + op.pad_bottom) - win.top;
  const int padded_w = std::min(win.left + op.size_w, in.width + op.pad_right) - win.left;
  win.divisor = op.count_padding ? static_cast<float>(padded_h) * static_cast<float>(padded_w)
                                 : static_cast<float>((win.h1 - win.h0) * (win.w1 - win.w0));
  return win;
}

template <typename Index, int W, typename T>
DAYBREAK_INLINE void max_window(Lanes<W> lanes, const Job& job, const Window& win, const T* x, T* y,
                                Index* winners) {
  float best[Lanes<W>::kMost];
  int index[Lanes<W>::kMost];
  const T* first = x + (std::int64_t{win.h0} * job.in.width + win.w0) * job.in.pixel_stride;
  const int first_index = (win.h0 - win.top) * job.op.size_w + win.w0 - win.left;
  for (int l = 0; l < lanes.count(); ++l) {
    best[l] = to_float(first[l]);
    index[l] = first_index;
  }
  for (int h = win.h0; h < win.h1; ++h) {
    for (int w = win.w0; w < win.w1; ++w) {
      const T* row = x + (std::int64_t{h} * job.in.width + w) * job.in.pixel_stride;
      const int here = (h - win.top) * job.op.size_w + w - win.left;
#pragma omp simd
      for (int l = 0; l < lanes.count(); ++l) {
        // A NaN wins and stays.
        const float value = to_float(row[l]);
        const bool wins = (value > best[l]) | ((value != value) & (best[l] == best[l]));
        best[l] = wins ? value : best[l];
        index[l] = wins ? here : index[l];
      }
    }
  }
  copy_lanes(lanes, best, y);
  if (!winners) return;
  for (int l = 0; l < lanes.count(); ++l) winners[l] = static_cast<Index>(index[l]);
}

template <int W, typename T>
DAYBREAK_INLINE void average_window(Lanes<W> lanes, const Job& job, const Window& win, const T* x,
                                    T* y) {
  float sum[Lanes<W>::kMost] = {};
  for (int h = win.h0; h < win.h1; ++h) {
    for (int w = win.w0; w < win.w1; ++w) {
      add_lanes(lanes, 1.0f, x + (std::int64_t{h} * job.in.width + w) * job.in.pixel_stride, sum);
    }
  }
#pragma omp simd
  for (int l = 0; l < lanes.count(); ++l) put(y[l], sum[l] / win.divisor);
}

template <typename Index, typename T>
DAYBREAK_INLINE void forward_planes(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % job.in.per_sample);
    const T* x = reinterpret_cast<const T*>(job.x) + job.in.offset(i);
    T* y = reinterpret_cast<T*>(job.y);
    const std::int64_t to = job.out.offset(i);
    with_lanes(job.in.lanes_at(plane), [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      for (int oh = 0; oh < job.out.height; ++oh) {
        for (int ow = 0; ow < job.out.width; ++ow) {
          const Window win = window(job.op, job.in, oh, ow);
          const std::int64_t at =
              to + (std::int64_t{oh} * job.out.width + ow) * job.out.pixel_stride;
          if (job.op.pool == PoolKind::average) {
            average_window(lanes, job, win, x, y + at);
          } else {
            Index* winners = job.winners ? reinterpret_cast<Index*>(job.winners) + at : nullptr;
            max_window(lanes, job, win, x, y + at, winners);
          }
        }
      }
    });
  }
}

// dx of one window: the winner gets dy, or everyone a share.
template <typename Index, int W, typename T>
DAYBREAK_INLINE void window_gradient(Lanes<W> lanes, const Job& job, const Window& win, const T* dy,
                                     const Index* winners, T* dx) {
  float share[Lanes<W>::kMost];
  const bool average = job.op.pool == PoolKind::average;
  for (int l = 0; l < lanes.count(); ++l) {
    share[l] = average ? to_float(dy[l]) / win.divisor : to_float(dy[l]);
  }
  for (int h = win.h0; h < win.h1; ++h) {
    for (int w = win.w0; w < win.w1; ++w) {
      T* row = dx + (std::int64_t{h} * job.in.width + w) * job.in.pixel_stride;
      const int here = (h - win.top) * job.op.size_w + w - win.left;
      if (average) {
        add_lanes(lanes, 1.0f, share, row);
        continue;
      }
#pragma omp simd
      for (int l = 0; l < lanes.count(); ++l) {
        const float won = static_cast<int>(winners[l]) == here ? share[l] : 0.0f;
        put(row[l], to_float(row[l]) + won);
      }
    }
  }
}

template <typename Index, typename T>
DAYBREAK_INLINE void backward_planes(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const int plane = static_cast<int>(i % job.in.per_sample);
    const T* dy = reinterpret_cast<const T*>(job.x);
    T* dx = reinterpret_cast<T*>(job.y) + job.in.offset(i);
    const std::int64_t from = job.out.offset(i);
    with_lanes(job.in.lanes_at(plane), [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      clear_plane(lanes, job.in, dx);
      for (int oh = 0; oh < job.out.height; ++oh) {
        for (int ow = 0; ow < job.out.width; ++ow) {
          const std::int64_t at =
              from + (std::int64_t{oh} * job.out.width + ow) * job.out.pixel_stride;
          const Index* winners =
              job.winners ? reinterpret_cast<const Index*>(job.winners) + at : nullptr;
          window_gradient(lanes, job, window(job.op, job.in, oh, ow), dy + at, winners, dx);
        }
      }
    });
  }
}

// Output columns that row_range does at a time, and the widest window it takes.
constexpr int kTile = 256, kWidest = 64;

// Plain planes without winners (inference) and columns side by side: vectors along the row.
bool runs_along_rows(const Job& job) {
  return job.op.pool == PoolKind::max && job.dtype == DType::f32 && !job.winners &&
         job.in.lanes == 1 && job.in.pixel_stride == 1 && job.op.stride_w == 1 &&
         job.op.size_w <= kWidest;
}

// best[k] = the larger of best[k] and values[k]; a NaN wins and stays.
DAYBREAK_INLINE void take_larger(const float* values, int count, float* best) {
#pragma omp simd
  for (int k = 0; k < count; ++k) {
    const float value = values[k];
    best[k] = (value > best[k]) | (value != value) ? value : best[k];
  }
}

// The maximum of a window is that of its columns' maxima: size_h + size_w values instead of their
// product.
DAYBREAK_INLINE void pool_row(const Job& job, const float* x, int oh, float* y) {
  const Pool& op = job.op;
  const int top = oh * op.stride_h - op.pad_top;
  const int bottom = std::min(top + op.size_h, job.in.height);
  float tall[kTile + kWidest];
  for (int begin = 0; begin < job.out.width; begin += kTile) {
    const int count = std::min(kTile, job.out.width - begin);
    const int columns = count + op.size_w - 1, left = begin - op.pad_left;
    const int from = std::min(columns, std::max(0, -left));
    const int inside = std::min(columns, job.in.width - left) - from;
    std::fill_n(tall, columns, -std::numeric_limits<float>::infinity());
    for (int h = std::max(top, 0); h < bottom; ++h) {
      take_larger(x + std::int64_t{h} * job.in.width + left + from, inside, tall + from);
    }
    std::copy_n(tall, count, y + begin);
    for (int kw = 1; kw < op.size_w; ++kw) take_larger(tall + kw, count, y + begin);
  }
}

DAYBREAK_MULTIARCH void row_range(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const float* x = reinterpret_cast<const float*>(job.x) + job.in.offset(i);
    float* y = as(job.y) + job.out.offset(i);
    for (int oh = 0; oh < job.out.height; ++oh) {
      pool_row(job, x, oh, y + std::int64_t{oh} * job.out.width);
    }
  }
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, bool wide, std::int64_t begin,
                                      std::int64_t end) {
  if (job.dtype == DType::bf16) {
    forward_planes<std::uint8_t, Bf16>(job, begin, end);
  } else if (wide) {
    forward_planes<std::int32_t, float>(job, begin, end);
  } else {
    forward_planes<std::uint8_t, float>(job, begin, end);
  }
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, bool wide, std::int64_t begin,
                                       std::int64_t end) {
  if (job.dtype == DType::bf16) {
    backward_planes<std::uint8_t, Bf16>(job, begin, end);
  } else if (wide) {
    backward_planes<std::int32_t, float>(job, begin, end);
  } else {
    backward_planes<std::uint8_t, float>(job, begin, end);
  }
}

}  // namespace

CpuOffers pool_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  Job shape;
  shape.dtype = query.inputs[0].dtype;
  shape.op = static_cast<const Pool&>(*query.op);
  const Layout layout = own_layout(query);
  const PlanePair pair =
      make_plane_pair(query.inputs[0].shape, query.output.shape, layout, context.block);
  shape.in = pair.in;
  shape.out = pair.out;
  const bool wide = std::int64_t{shape.op.size_h} * shape.op.size_w > 256;
  const bool is_forward = query.pass == Pass::forward;
  const bool is_max = shape.op.pool == PoolKind::max;
  // Where windows overlap gradients are sums, which would be rounded after every term. Wide windows
  // are rare: their winners need an index of their own.
  const bool overlap = shape.op.size_h > shape.op.stride_h || shape.op.size_w > shape.op.stride_w;
  if (shape.dtype != DType::f32 && (wide || (!is_forward && overlap))) return {};
  KernelOffer offer = own_offer(context, query, "pool", layout, [=](const Bindings& b) {
    Job job = shape;
    job.x = is_forward ? b.x[0] : b.dy;
    job.y = is_forward ? b.y : entry<std::byte>(b.dx, 0);
    job.winners = b.aux;
    if (!job.y) return;
    parallel_for(job.in.count(), plane_grain(job.in, job.out),
                 [&](std::int64_t begin, std::int64_t end) {
                   if (is_forward && runs_along_rows(job)) {
                     row_range(job, begin, end);
                   } else if (is_forward) {
                     forward_range(job, wide, begin, end);
                   } else {
                     backward_range(job, wide, begin, end);
                   }
                 });
  });
  if (is_forward && is_max && query.mode == Mode::train) {
    offer.aux_bytes =
        offer.output.bytes / element_size(shape.dtype) * (wide ? sizeof(std::int32_t) : 1);
  }
  if (!is_forward) offer.reads.aux = is_max;
  return {offer};
}

}  // namespace daybreak
