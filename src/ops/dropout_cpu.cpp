#include "ops/dropout.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/act_rows.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/planes.h"
#include "core/parallel.h"
#include "core/philox.h"

// Walks the elements in logical order, which is the order of the draws; the mask is drawn again in
// the backward pass. Chunks of samples' elements are shared over the team.

namespace daybreak {
namespace {

struct Job {
  Planes p;
  float drop = 0.5f;
  float keep_scale = 2.0f;
  std::uint32_t salt = 0;
  std::int64_t per_sample = 0;  // logical elements
  std::int64_t chunk = 0;       // elements of a task, a multiple of 4
};

// Elements [begin, end) of sample n; begin is a multiple of 4: one block gives four draws. Draws
// are made some hundred at a time, then a channel's pixels are walked without divisions.
template <typename T>
void drop_chunk(const Job& job, const StepScalars& scalars, const T* src, T* dst, std::int64_t n,
                std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kDrawn = 512;
  const Draws draws(scalars.seed, Purpose::dropout, scalars.step,
                    (std::uint64_t{job.salt} << 32) + static_cast<std::uint32_t>(n));
  const Planes& p = job.p;
  const std::int64_t base = n * p.sample_stride;
  std::int64_t c = begin / p.pixels, q = begin % p.pixels;
  bool drops[kDrawn];
  for (std::int64_t i = begin; i < end; i += kDrawn) {
    const std::int64_t count = std::min(kDrawn, end - i);
    for (std::int64_t k = 0; k < count; k += 4) {
      const PhiloxBlock block = draws.block_at(static_cast<std::uint64_t>(i + k));
      for (int j = 0; j < 4; ++j) drops[k + j] = uniform_from_bits(block.v[j]) < job.drop;
    }
    for (std::int64_t k = 0; k < count;) {
      const std::int64_t run = std::min(count - k, p.pixels - q);
      const std::int64_t at =
          base + c / p.lanes * p.plane_stride + q * p.pixel_stride + c % p.lanes;
      for (std::int64_t r = 0; r < run; ++r) {
        const std::int64_t to = at + r * p.pixel_stride;
        put(dst[to], drops[k + r] ? 0.0f : to_float(src[to]) * job.keep_scale);
      }
      k += run;
      q += run;
      if (q == p.pixels) {
        q = 0;
        ++c;
      }
    }
  }
}

}  // namespace

CpuOffers dropout_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Dropout& op = static_cast<const Dropout&>(*query.op);
  const Layout layout = own_layout(query);
  const TensorDesc desc = context.with_layout(query.output, layout);
  const bool train = query.mode == Mode::train, is_forward = query.pass == Pass::forward;
  Job job;
  job.p = make_planes(desc.shape, layout, context.block);
  job.drop = op.p;
  job.keep_scale = static_cast<float>(1.0 / (1.0 - double{op.p}));
  job.salt = op.salt;
  job.per_sample = desc.shape.per_sample();
  job.chunk = std::min<std::int64_t>((job.per_sample + 3) / 4 * 4, kGrain);
  const std::size_t bytes = desc.bytes;
  const DType dtype = desc.dtype;
  const std::int64_t samples = desc.shape.n;
  KernelOffer offer = own_offer(context, query, "dropout", layout, [=](const Bindings& b) {
    std::byte* src = is_forward ? b.x[0] : b.dy;
    std::byte* dst = is_forward ? b.y : entry<std::byte>(b.dx, 0);
    if (!dst) return;
    if (!train) {
      if (dst != src) std::memcpy(dst, src, bytes);
      return;
    }
    const std::int64_t per_sample = (job.per_sample + job.chunk - 1) / job.chunk;
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / 8 / job.chunk);
    parallel_for(samples * per_sample, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t first = task % per_sample * job.chunk;
        with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
          using T = decltype(tag);
          drop_chunk(job, *b.scalars, as<const T>(src), as<T>(dst), task / per_sample, first,
                     std::min(job.per_sample, first + job.chunk));
        });
      }
    });
    zero_padding(job.p, dtype, dst);
  });
  offer.in_place = true;
  return {offer};
}

}  // namespace daybreak
