#include "ops/concat.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/act_rows.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/planes.h"
#include "core/parallel.h"

// Copies every input's channels to their place, or gradients back. Inputs whose channels fill whole
// planes (plain; blocked with a multiple of the block before and in them) are one memcpy a sample;
// NHWC copies runs of channels per pixel; blocked tensors with odd channels go channel by channel.

namespace daybreak {
namespace {

struct Part {
  Planes planes;
  int first = 0;  // channel of the whole where this input starts
};

bool whole_planes(const Planes& all, const Part& part) {
  return all.pixel_stride == all.lanes && part.first % all.lanes == 0 &&
         (part.planes.channels % all.lanes == 0);
}

// Moves one sample of a part; `to_part` is the direction of gradients.
template <typename T>
void move_sample(const Planes& all, const Part& part, std::int64_t n, T* whole, T* piece,
                 bool to_part) {
  const auto copy = [&](T* a, T* b, std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (to_part) {
      std::memcpy(b, a, bytes);
    } else {
      std::memcpy(a, b, bytes);
    }
  };
  const Planes& p = part.planes;
  if (whole_planes(all, part)) {
    copy(whole + all.offset(n, part.first / all.lanes), piece + p.offset(n, 0), p.sample_stride);
    return;
  }
  if (!all.padded) {  // NHWC
    for (std::int64_t q = 0; q < all.pixels; ++q) {
      copy(whole + n * all.sample_stride + q * all.pixel_stride + part.first,
           piece + n * p.sample_stride + q * p.pixel_stride, p.channels);
    }
    return;
  }
  for (int c = 0; c < p.channels; ++c) {
    const int at = part.first + c;
    T* a = whole + all.offset(n, at / all.lanes) + at % all.lanes;
    T* b = piece + p.offset(n, c / p.lanes) + c % p.lanes;
    for (std::int64_t q = 0; q < all.pixels; ++q) {
      if (to_part) {
        b[q * p.pixel_stride] = a[q * all.pixel_stride];
      } else {
        a[q * all.pixel_stride] = b[q * p.pixel_stride];
      }
    }
  }
}

}  // namespace

CpuOffers concat_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Layout layout = own_layout(query);
  // Plain tensors stay plain even with one pixel: lanes of 1 make every channel a plane.
  const int lanes = layout == kNchw ? 1 : 16;
  const Planes all = make_planes(query.output.shape, layout, context.block, lanes);
  std::vector<Part> parts;
  int first = 0;
  for (const TensorDesc& input : query.inputs) {
    parts.push_back({make_planes(input.shape, layout, context.block, lanes), first});
    first += input.shape.c;
  }
  const bool is_forward = query.pass == Pass::forward;
  const DType dtype = query.output.dtype;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / all.sample_stride);
  return {own_offer(context, query, "concat", layout, [=](const Bindings& b) {
    std::byte* whole = is_forward ? b.y : b.dy;
    parallel_for(all.samples, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::size_t i = 0; i < parts.size(); ++i) {
        std::byte* piece = is_forward ? b.x[i] : entry<std::byte>(b.dx, i);
        if (!piece) continue;
        for (std::int64_t n = begin; n < end; ++n) {
          with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
            using T = decltype(tag);
            move_sample(all, parts[i], n, as<T>(whole), as<T>(piece), !is_forward);
          });
        }
      }
    });
    if (is_forward) zero_padding(all, dtype, whole);
    for (std::size_t i = 0; !is_forward && i < parts.size(); ++i) {
      if (std::byte* dx = entry<std::byte>(b.dx, i)) zero_padding(parts[i].planes, dtype, dx);
    }
  })};
}

}  // namespace daybreak
