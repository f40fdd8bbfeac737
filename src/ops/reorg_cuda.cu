// A permutation that moves s x s neighbours into channels: one thread for each number, channels
// last.

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/reorg.h"

namespace daybreak::cuda {
namespace {

struct ReorgCall {
  Shape in, out;
  ReorgOrder order;
  int stride;
};

/// Both directions visit the numbers of the output's side: forward gathers, backward scatters to
/// places that no other thread writes to.
template <class T>
__global__ void reorg_kernel(const T* from, T* to, ReorgCall call, bool forward) {
  const std::int64_t per_sample = call.in.per_sample(), count = per_sample * call.in.n;
  const std::int64_t in_pixels = call.in.spatial(), out_pixels = call.out.spatial();
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    const std::int64_t sample = i / per_sample * per_sample, e = i % per_sample;
    const std::int64_t plain = e % call.out.c * out_pixels + e / call.out.c;
    const std::int64_t j =
        source_index(call.order, call.stride, call.in.c, call.in.h, call.in.w, plain);
    const std::int64_t at = sample + j % in_pixels * call.in.c + j / in_pixels;
    if (forward) {
      to[i] = from[at];
    } else {
      to[at] = from[i];
    }
  }
}

}  // namespace

Offers reorg_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  const auto& op = static_cast<const Reorg&>(*query.op);
  const ReorgCall call{query.inputs[0].shape, query.output.shape, op.order, op.stride};
  KernelOffer offer = nhwc_offer(query, "own:reorg");
  const DType dtype = query.inputs[0].dtype;
  offer.output = make_desc(query.output.shape, dtype, kNhwc);
  offer.make = [&context, call, dtype, forward = query.pass == Pass::forward,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      std::byte* from = forward ? b.x[0] : b.dy;
      std::byte* to = forward ? b.y : entry<std::byte>(b.dx, 0);
      if (to == nullptr) return;
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        reorg_kernel<T><<<loop_blocks(call.in.count()), kThreads, 0, context.stream()>>>(
            as<const T>(from), as<T>(to), call, forward);
        check_launch("reorg kernel");
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
