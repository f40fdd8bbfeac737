#include "ops/concat.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/act_rows.h"
#include "backend/cpu/channel_part.h"
#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// Copies every input's channels to their place, or gradients back.

namespace daybreak {
CpuOffers concat_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Layout layout = own_layout(query);
  // Plain tensors stay plain even with one pixel: lanes of 1 make every channel a plane.
  const int lanes = layout == kNchw ? 1 : 16;
  const Planes all = make_planes(query.output.shape, layout, context.block, lanes);
  std::vector<ChannelPart> parts;
  int first = 0;
  for (const TensorDesc& input : query.inputs) {
    parts.push_back({make_planes(input.shape, layout, context.block, lanes), first});
    first += input.shape.c;
  }
  const bool is_forward = query.pass == Pass::forward;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / all.sample_stride);
  return {own_offer(context, query, "concat", layout, [=](const Bindings& b) {
    float* whole = is_forward ? as(b.y) : as(b.dy);
    parallel_for(all.samples, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::size_t i = 0; i < parts.size(); ++i) {
        float* piece = is_forward ? as(b.x[i]) : entry(b.dx, i);
        if (!piece) continue;
        for (std::int64_t n = begin; n < end; ++n) {
          move_channels(all, parts[i], n, whole, piece,
                        is_forward ? MoveChannels::to_whole : MoveChannels::to_part);
        }
      }
    });
    if (is_forward) zero_padding(all, whole);
    for (std::size_t i = 0; !is_forward && i < parts.size(); ++i) {
      if (float* dx = entry(b.dx, i)) zero_padding(parts[i].planes, dx);
    }
  })};
}

}  // namespace daybreak
