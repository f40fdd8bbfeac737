#include "ops/input_u8.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/planes.h"
#include "core/parallel.h"

// A table of 256 numbers per channel, made with the kernel: every byte is one look-up, and the
// values are those of the reference, rounded once from double.

namespace daybreak {
namespace {

using Table = std::array<float, 256>;

std::vector<Table> make_tables(const InputU8& op, int channels) {
  std::vector<Table> tables(static_cast<std::size_t>(channels));
  for (int c = 0; c < channels; ++c) {
    for (int byte = 0; byte < 256; ++byte) {
      const double value = double{op.scale} * byte;
      tables[c][byte] = static_cast<float>((value - op.mean[c]) / op.std[c]);
    }
  }
  return tables;
}

// One sample; lanes beyond the last channel of a blocked output become zero.
template <typename T>
void convert_sample(const std::vector<Table>& tables, bool reverse, const Planes& p,
                    const std::uint8_t* x, T* y) {
  for (int plane = 0; plane < p.per_sample; ++plane) {
    const int used = p.channels_at(plane), lanes = p.lanes_at(plane), first = plane * p.lanes;
    T* out = y + p.offset(0, plane);
    for (int l = 0; l < lanes; ++l) {
      if (l >= used) {
        for (std::int64_t q = 0; q < p.pixels; ++q) out[q * p.pixel_stride + l] = T{};
        continue;
      }
      const int c = first + l, from = reverse ? p.channels - 1 - c : c;
      const Table& table = tables[c];
      for (std::int64_t q = 0; q < p.pixels; ++q) {
        put(out[q * p.pixel_stride + l], table[x[q * p.channels + from]]);
      }
    }
  }
}

KernelOffer offer_in(const CpuContext& context, const KernelQuery& query, Layout layout) {
  const InputU8& op = static_cast<const InputU8&>(*query.op);
  const Shape shape = query.output.shape;
  const Planes planes = make_planes(shape, layout, context.block);
  const bool reverse = op.reverse_channels;
  const DType dtype = query.output.dtype;
  KernelOffer offer = own_offer(
      context, query, "input_u8", layout,
      [=, tables = make_tables(op, shape.c)](const Bindings& b) {
        const std::uint8_t* x = as<const std::uint8_t>(b.x[0]);
        const std::int64_t grain = std::max<std::int64_t>(1, kGrain / planes.sample_stride);
        parallel_for(shape.n, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t n = begin; n < end; ++n) {
            with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
              convert_sample(tables, reverse, planes, x + n * shape.per_sample(),
                             as<decltype(tag)>(b.y) + n * planes.sample_stride);
            });
          }
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
