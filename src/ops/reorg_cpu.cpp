#include "ops/reorg.h"

#include <vector>

#include "backend/cpu/kernel.h"
#include "core/parallel.h"

// Gathers through a table made beforehand, in plain layout: 8 bytes an element and 4 of the table.

namespace daybreak {
namespace {

void move_range(const std::vector<std::int32_t>& table, const float* from, float* to,
                bool is_forward, std::int64_t begin, std::int64_t end) {
  const auto per_sample = static_cast<std::int64_t>(table.size());
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t sample = i - i % per_sample;
    const std::int64_t source = sample + table[static_cast<std::size_t>(i % per_sample)];
    if (is_forward) {
      to[i] = from[source];
    } else {
      to[source] = from[i];
    }
  }
}

}  // namespace

CpuOffers reorg_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Reorg op = static_cast<const Reorg&>(*query.op);
  const Shape in = query.inputs[0].shape;
  std::vector<std::int32_t> table(static_cast<std::size_t>(in.per_sample()));
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::int32_t>(
        source_index(op.order, op.stride, in.c, in.h, in.w, static_cast<std::int64_t>(i)));
  }
  const bool is_forward = query.pass == Pass::forward;
  return {own_offer(context, query, "reorg", kNchw, [=](const Bindings& b) {
    const float* from = is_forward ? as(b.x[0]) : as(b.dy);
    float* to = is_forward ? as(b.y) : entry(b.dx, 0);
    if (!to) return;
    parallel_for(in.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      move_range(table, from, to, is_forward, begin, end);
    });
  })};
}

}  // namespace daybreak
