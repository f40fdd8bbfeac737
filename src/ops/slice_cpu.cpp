#include "ops/slice.h"

#include <algorithm>

#include "backend/cpu/act_rows.h"
#include "backend/cpu/channel_part.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// Copies a stretch of channels; backward clears the rest of the gradient first.

namespace daybreak {

CpuOffers slice_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Layout layout = own_layout(query);
  const int lanes = layout == kNchw ? 1 : 16;  // as in concat: plain stays plain with one pixel
  const Planes all = make_planes(query.inputs[0].shape, layout, context.block, lanes);
  const ChannelPart part{make_planes(query.output.shape, layout, context.block, lanes),
                         static_cast<const Slice&>(*query.op).begin};
  const bool is_forward = query.pass == Pass::forward;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / all.sample_stride);
  return {own_offer(context, query, "slice", layout, [=](const Bindings& b) {
    float* whole = is_forward ? as(b.x[0]) : entry(b.dx, 0);
    float* piece = is_forward ? as(b.y) : as(b.dy);
    if (!whole) return;
    parallel_for(all.samples, grain, [&](std::int64_t begin, std::int64_t end) {
      if (!is_forward) {
        std::fill(whole + begin * all.sample_stride, whole + end * all.sample_stride, 0.0f);
      }
      for (std::int64_t n = begin; n < end; ++n) {
        move_channels(all, part, n, whole, piece,
                      is_forward ? MoveChannels::to_part : MoveChannels::to_whole);
      }
    });
    if (is_forward) zero_padding(part.planes, piece);
  })};
}

}  // namespace daybreak
