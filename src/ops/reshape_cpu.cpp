#include "ops/reshape.h"

#include <cstring>

#include "backend/cpu/kernel.h"

namespace daybreak {

CpuOffers reshape_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const bool is_forward = query.pass == Pass::forward;
  const std::size_t bytes = context.with_layout(query.output, kNchw).bytes;
  KernelOffer offer = own_offer(context, query, "copy", kNchw, [=](const Bindings& b) {
    std::byte* to = is_forward ? b.y : entry<std::byte>(b.dx, 0);
    const std::byte* from = is_forward ? b.x[0] : b.dy;
    if (to && to != from) std::memcpy(to, from, bytes);
  });
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
