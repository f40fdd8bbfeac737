#include "ops/input_u8.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/planes.h"
#include "core/multiarch.h"
#include "core/parallel.h"

// A byte becomes byte * factor + offset, one multiply-add.

namespace daybreak {
namespace {

struct Job {
  Shape shape;
  Planes p;
  DType dtype = DType::f32;
  bool reverse = false;
  std::vector<float> factor, offset;  // by channel of the output

  int source(int channel) const { return reverse ? shape.c - 1 - channel : channel; }
};

Job make_job(const InputU8& op, const Shape& shape, DType dtype, const Planes& planes) {
  Job job{shape, planes, dtype, op.reverse_channels, {}, {}};
  for (int c = 0; c < shape.c; ++c) {
    job.factor.push_back(static_cast<float>(double{op.scale} / op.std[c]));
    job.offset.push_back(static_cast<float>(-double{op.mean[c]} / op.std[c]));
  }
  return job;
}

// One sample of C interleaved channels to C planes: all in one loop, so that it vectorises.
template <int C, typename T>
DAYBREAK_INLINE void convert_plain(const Job& job, const std::uint8_t* x, T* y) {
  const std::int64_t pixels = job.p.pixels;
  float factor[C], offset[C];
  int from[C];
  for (int c = 0; c < C; ++c) {
    from[c] = job.source(c);
    factor[from[c]] = job.factor[c];
    offset[from[c]] = job.offset[c];
  }
  T* out[C];
  for (int c = 0; c < C; ++c) out[from[c]] = y + c * pixels;
  for (std::int64_t q = 0; q < pixels; ++q) {
#pragma GCC unroll 4
    for (int i = 0; i < C; ++i) {
      put(out[i][q], static_cast<float>(x[q * C + i]) * factor[i] + offset[i]);
    }
  }
}

// One sample; lanes beyond the last channel of a blocked output become zero.
template <typename T>
DAYBREAK_INLINE void convert_lanes(const Job& job, const std::uint8_t* x, T* y) {
  const Planes& p = job.p;
  for (int plane = 0; plane < p.per_sample; ++plane) {
    const int used = p.channels_at(plane), lanes = p.lanes_at(plane), first = plane * p.lanes;
    T* out = y + p.offset(0, plane);
    for (int l = 0; l < lanes; ++l) {
      if (l >= used) {
        for (std::int64_t q = 0; q < p.pixels; ++q) out[q * p.pixel_stride + l] = T{};
        continue;
      }
      const int c = first + l, from = job.source(c);
      for (std::int64_t q = 0; q < p.pixels; ++q) {
        const float byte = x[q * p.channels + from];
        put(out[q * p.pixel_stride + l], byte * job.factor[c] + job.offset[c]);
      }
    }
  }
}

template <typename T>
DAYBREAK_INLINE void convert(const Job& job, const std::uint8_t* x, T* y) {
  const bool plain = job.p.lanes == 1 && job.p.pixel_stride == 1;
  if (plain && job.shape.c == 3) {
    convert_plain<3>(job, x, y);
  } else if (plain && job.shape.c == 1) {
    convert_plain<1>(job, x, y);
  } else {
    convert_lanes(job, x, y);
  }
}

DAYBREAK_MULTIARCH void convert_samples(const Job& job, const Bindings& b, std::int64_t begin,
                                        std::int64_t end) {
  with_storage(job.dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    for (std::int64_t n = begin; n < end; ++n) {
      convert(job, as<const std::uint8_t>(b.x[0]) + n * job.shape.per_sample(),
              as<decltype(tag)>(b.y) + n * job.p.sample_stride);
    }
  });
}

KernelOffer offer_in(const CpuContext& context, const KernelQuery& query, Layout layout) {
  const Shape shape = query.output.shape;
  const Job job = make_job(static_cast<const InputU8&>(*query.op), shape, query.output.dtype,
                           make_planes(shape, layout, context.block));
  KernelOffer offer = own_offer(context, query, "input_u8", layout, [job](const Bindings& b) {
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / job.p.sample_stride);
    parallel_for(job.shape.n, grain, [&](std::int64_t begin, std::int64_t end) {
      convert_samples(job, b, begin, end);
    });
  });
  offer.inputs[0].layout = kNhwc;
  return offer;
}

}  // namespace

CpuOffers input_u8_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  std::vector<Layout> layouts = {kNchw, kNhwc, kBlocked};
  // The layout the output has already, if any, comes first.
  const auto asked = std::find(layouts.begin(), layouts.end(), query.output.layout);
  if (asked != layouts.end()) std::rotate(layouts.begin(), asked, asked + 1);
  CpuOffers offers;
  for (Layout layout : layouts) offers.push_back(offer_in(context, query, layout));
  return offers;
}

}  // namespace daybreak
