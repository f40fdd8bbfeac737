#include "ops/upsample.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/lanes.h"
#include "core/parallel.h"

// A plane at a time; which pixels an output row and column lie between is worked out beforehand.
// Nearest reads one pixel per output, bilinear up to four.

namespace daybreak {
namespace {

// The two pixels an output position lies between, and the share of the second.
struct Taps {
  int first, second;
  float share;
};

std::vector<Taps> make_taps(const Upsample& op, int in, int out) {
  std::vector<Taps> taps;
  for (int o = 0; o < out; ++o) {
    if (op.upsample == UpsampleKind::nearest) {
      taps.push_back({o / op.scale, o / op.scale, 0.0f});
      continue;
    }
    const double position = std::max(0.0, (o + 0.5) / op.scale - 0.5);
    const int first = static_cast<int>(position);
    taps.push_back({first, std::min(first + 1, in - 1), static_cast<float>(position - first)});
  }
  return taps;
}

struct Job {
  Planes in, out;
  const Taps* rows = nullptr;
  const Taps* columns = nullptr;
  const float* x = nullptr;  // or dy
  float* y = nullptr;        // or dx
};

// Calls body(pixel of the input, share) for the one to four pixels of an output pixel.
template <typename Body>
DAYBREAK_INLINE void for_each_tap(const Job& job, int oh, int ow, Body&& body) {
  const Taps& h = job.rows[oh];
  const Taps& w = job.columns[ow];
  const std::int64_t top = std::int64_t{h.first} * job.in.width;
  const std::int64_t bottom = std::int64_t{h.second} * job.in.width;
  body(top + w.first, (1.0f - h.share) * (1.0f - w.share));
  if (w.share != 0.0f) body(top + w.second, (1.0f - h.share) * w.share);
  if (h.share == 0.0f) return;
  body(bottom + w.first, h.share * (1.0f - w.share));
  if (w.share != 0.0f) body(bottom + w.second, h.share * w.share);
}

template <bool Forward>
DAYBREAK_INLINE void planes(const Job& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t in = job.in.offset(i), out = job.out.offset(i);
    const int count = job.in.lanes_at(static_cast<int>(i % job.in.per_sample));
    with_lanes(count, [&](auto lanes) DAYBREAK_INLINE_LAMBDA {
      if (!Forward) clear_plane(lanes, job.in, job.y + in);
      for (int oh = 0; oh < job.out.height; ++oh) {
        for (int ow = 0; ow < job.out.width; ++ow) {
          const std::int64_t at =
              out + (std::int64_t{oh} * job.out.width + ow) * job.out.pixel_stride;
          if (Forward) fill_lanes(lanes, job.y + at, 0.0f);
          for_each_tap(job, oh, ow, [&](std::int64_t pixel, float share) DAYBREAK_INLINE_LAMBDA {
            const std::int64_t q = in + pixel * job.in.pixel_stride;
            if (Forward) {
              add_lanes(lanes, share, job.x + q, job.y + at);
            } else {
              add_lanes(lanes, share, job.x + at, job.y + q);
            }
          });
        }
      }
    });
  }
}

DAYBREAK_MULTIARCH void forward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  planes<true>(job, begin, end);
}

DAYBREAK_MULTIARCH void backward_range(const Job& job, std::int64_t begin, std::int64_t end) {
  planes<false>(job, begin, end);
}

}  // namespace

CpuOffers upsample_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Upsample& op = static_cast<const Upsample&>(*query.op);
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  const Layout layout = own_layout(query);
  const PlanePair pair = make_plane_pair(in, out, layout, context.block);
  const bool is_forward = query.pass == Pass::forward;
  return {own_offer(context, query, "upsample", layout,
                    [=, rows = make_taps(op, in.h, out.h),
                     columns = make_taps(op, in.w, out.w)](const Bindings& b) {
                      Job job{pair.in, pair.out, rows.data(), columns.data()};
                      job.x = is_forward ? as(b.x[0]) : as(b.dy);
                      job.y = is_forward ? as(b.y) : entry(b.dx, 0);
                      if (!job.y) return;
                      parallel_for(job.in.count(), plane_grain(job.in, job.out),
                                   [&](std::int64_t begin, std::int64_t end) {
                                     if (is_forward) {
                                       forward_range(job, begin, end);
                                     } else {
                                       backward_range(job, begin, end);
                                     }
                                   });
                    })};
}

}  // namespace daybreak
