#include "ops/pad.h"

#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/lanes.h"
#include "core/parallel.h"

// A plane at a time; the source row and column of every output row and column is worked out
// beforehand, -1 standing for zeros. Backward adds border pixels to their sources in row order.

namespace daybreak {
namespace {

// The pixel of the picture that position i shows (0: first pixel), or -1 for zero.
int source(PadKind kind, int i, int extent) {
  if (i >= 0 && i < extent) return i;
  switch (kind) {
    case PadKind::zero:
      return -1;
    case PadKind::reflect:
      return i < 0 ? -i : 2 * (extent - 1) - i;
    case PadKind::symmetric:
      return i < 0 ? -1 - i : 2 * extent - 1 - i;
  }
  return -1;
}

std::vector<int> sources(PadKind kind, int before, int extent, int out) {
  std::vector<int> result;
  for (int o = 0; o < out; ++o) result.push_back(source(kind, o - before, extent));
  return result;
}

struct Job {
  Planes in, out;
  const int* rows = nullptr;
  const int* columns = nullptr;
  const float* x = nullptr;  // or dy
  float* y = nullptr;        // or dx
};

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
          const int h = job.rows[oh], w = job.columns[ow];
          const std::int64_t q = in + (std::int64_t{h} * job.in.width + w) * job.in.pixel_stride;
          if (h < 0 || w < 0) {
            if (Forward) fill_lanes(lanes, job.y + at, 0.0f);
          } else if (Forward) {
            copy_lanes(lanes, job.x + q, job.y + at);
          } else {
            add_lanes(lanes, 1.0f, job.x + at, job.y + q);
          }
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

CpuOffers pad_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Pad& op = static_cast<const Pad&>(*query.op);
  const Shape in = query.inputs[0].shape, out = query.output.shape;
  const Layout layout = own_layout(query);
  const PlanePair pair = make_plane_pair(in, out, layout, context.block);
  const bool is_forward = query.pass == Pass::forward;
  return {own_offer(context, query, "pad", layout,
                    [=, rows = sources(op.pad, op.top, in.h, out.h),
                     columns = sources(op.pad, op.left, in.w, out.w)](const Bindings& b) {
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
