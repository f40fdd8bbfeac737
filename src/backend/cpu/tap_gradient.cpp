#include "backend/cpu/tap_gradient.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "backend/cpu/bf16.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/planes.h"
#include "backend/cpu/tap_gemm.h"
#include "core/parallel.h"

// For each tap the rows of x and dy that meet there, pixel by pixel and sample by sample, are
// gathered into matrices [rows, IC] and [rows, OC]; their product is the tap's gradient [IC, OC] in
// f32, so that nothing is added up in memory. oneDNN's bf16 products run near the peak, while its
// direct kernel multiplies borders too and reaches a third of it on outputs of 2 x 2.

namespace daybreak {
namespace {

struct Tap {
  std::vector<std::int32_t> x, y;  // pixels that meet
};

std::vector<Tap> make_taps(const ConvProblem& p) {
  std::vector<Tap> taps;
  for (int kh = 0; kh < p.w.h; ++kh) {
    const TapRange h = valid_outputs(kh, p.x.h, p.y.h, p.stride[0], p.dilation[0], p.pad_before[0]);
    for (int kw = 0; kw < p.w.w; ++kw) {
      const TapRange w =
          valid_outputs(kw, p.x.w, p.y.w, p.stride[1], p.dilation[1], p.pad_before[1]);
      Tap tap;
      for (int oh = h.begin; oh < h.end; ++oh) {
        for (int ow = w.begin; ow < w.end; ++ow) {
          const int ih = oh * p.stride[0] + kh * p.dilation[0] - p.pad_before[0];
          const int iw = ow * p.stride[1] + kw * p.dilation[1] - p.pad_before[1];
          tap.x.push_back(ih * p.x.w + iw);
          tap.y.push_back(oh * p.y.w + ow);
        }
      }
      taps.push_back(std::move(tap));
    }
  }
  return taps;
}

std::size_t rounded(std::size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Sizes and pieces of the workspace: gathered x, gathered dy, scratch of the products.
struct Shapes {
  std::int64_t samples, ic, oc;
  std::size_t x_bytes = 0, y_bytes = 0, scratch_bytes = 0;
  std::size_t bytes() const { return x_bytes + y_bytes + scratch_bytes; }
};

// Rows (pixel, sample) of a tensor, one after the other.
void gather(const Planes& p, const std::vector<std::int32_t>& pixels, const Bf16* tensor,
            Bf16* rows) {
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / p.channels);
  parallel_for(static_cast<std::int64_t>(pixels.size()) * p.samples, grain,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const std::int64_t n = row % p.samples;
                   const std::int64_t q = pixels[static_cast<std::size_t>(row / p.samples)];
                   const Bf16* from = tensor + p.offset(n, 0) + q * p.pixel_stride;
                   Bf16* to = rows + row * p.channels;
                   for (int plane = 0; plane < p.per_sample; ++plane) {
                     const auto count = static_cast<std::size_t>(p.channels_at(plane));
                     std::memcpy(to + std::int64_t{plane} * p.lanes, from + plane * p.plane_stride,
                                 count * sizeof(Bf16));
                   }
                 }
               });
}

// Per channel over all samples and pixels, in that order; the team shares the planes.
void sum_channels(const Planes& p, const Bf16* dy, float* db) {
  parallel_for(p.per_sample, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const int used = p.channels_at(static_cast<int>(plane));
      for (int l = 0; l < used; ++l) {
        double sum = 0.0;
        for (std::int64_t n = 0; n < p.samples; ++n) {
          const Bf16* from = dy + p.offset(n, static_cast<int>(plane)) + l;
          for (std::int64_t q = 0; q < p.pixels; ++q) sum += to_float(from[q * p.pixel_stride]);
        }
        db[plane * p.lanes + l] = static_cast<float>(sum);
      }
    }
  });
}

class TapGradient final : public Kernel {
 public:
  /// `products` by number of pixels.
  TapGradient(Planes x, Planes y, Shapes shapes, std::vector<Tap> taps,
              std::map<std::size_t, KernelPtr> products)
      : x_(x), y_(y), shapes_(shapes), taps_(std::move(taps)), products_(std::move(products)) {
    product_.x.resize(2);
  }

  void run(const Bindings& b) override {
    const Bf16* dy = as<const Bf16>(b.dy);
    if (float* db = entry(b.dw, 1)) sum_channels(y_, dy, db);
    float* dw = entry(b.dw, 0);
    if (!dw) return;
    product_.x[0] = b.workspace;
    product_.x[1] = b.workspace + shapes_.x_bytes;
    product_.workspace = product_.x[1] + shapes_.y_bytes;
    for (const Tap& tap : taps_) {
      if (tap.x.empty()) {
        std::fill_n(dw, shapes_.ic * shapes_.oc, 0.0f);
      } else {
        gather(x_, tap.x, as<const Bf16>(b.x[0]), as<Bf16>(product_.x[0]));
        gather(y_, tap.y, dy, as<Bf16>(product_.x[1]));
        product_.y = reinterpret_cast<std::byte*>(dw);
        products_.at(tap.x.size())->run(product_);
      }
      dw += shapes_.ic * shapes_.oc;
    }
  }

 private:
  Planes x_, y_;
  Shapes shapes_;
  std::vector<Tap> taps_;
  std::map<std::size_t, KernelPtr> products_;
  Bindings product_;
};

bool suits(const ConvProblem& p) {
  if (p.transposed || p.groups != 1 || p.dtype != DType::bf16) return false;
  return p.y.spatial() <= 64 && p.x.n >= 16 && p.x.c >= 32 && p.y.c >= 32;
}

}  // namespace

std::optional<KernelOffer> tap_gradient_offer(const CpuContext& context, const KernelQuery& query,
                                              const ConvProblem& problem) {
  if (query.pass != Pass::backward_weights || !suits(problem)) return std::nullopt;
  const Layout layout = own_layout(query);
  const Planes x = make_planes(problem.x, layout, context.block);
  const Planes y = make_planes(problem.y, layout, context.block);
  std::vector<Tap> taps = make_taps(problem);
  Shapes shapes{problem.x.n, problem.x.c, problem.y.c};
  std::map<std::size_t, OneDnnAnswer> answers;
  std::size_t most = 0;
  for (const Tap& tap : taps) {
    if (tap.x.empty() || answers.count(tap.x.size()) > 0) continue;
    const auto rows = static_cast<std::int64_t>(tap.x.size()) * shapes.samples;
    auto answer = context.onednn->product({shapes.ic, shapes.oc, rows, problem.dtype});
    if (!answer || answer->implementation.find("ref") != std::string::npos) return std::nullopt;
    shapes.scratch_bytes = std::max(shapes.scratch_bytes, answer->workspace_bytes);
    most = std::max(most, static_cast<std::size_t>(rows));
    answers.emplace(tap.x.size(), std::move(*answer));
  }
  shapes.x_bytes = rounded(most * static_cast<std::size_t>(shapes.ic) * sizeof(Bf16));
  shapes.y_bytes = rounded(most * static_cast<std::size_t>(shapes.oc) * sizeof(Bf16));

  KernelOffer offer = own_offer(context, query, "tap_gradient", layout, [](const Bindings&) {});
  offer.algorithm = KernelAlgorithm::gemm;
  offer.make = [=]() -> KernelPtr {
    std::map<std::size_t, KernelPtr> products;
    for (const auto& [pixels, answer] : answers) products.emplace(pixels, answer.make());
    return std::make_unique<TapGradient>(x, y, shapes, taps, std::move(products));
  };
  const Shape& w = query.params[0].shape;
  const dnnl::memory::desc hwio({w.n, w.c, w.h, w.w}, dnnl_type(DType::f32),
                                dnnl::memory::format_tag::cdba);
  offer.params[0] = context.with_layout(plain_desc(w, DType::f32), context.layouts->find(hwio, w));
  offer.reads.inputs = true;
  offer.workspace_bytes = shapes.bytes();
  return offer;
}

}  // namespace daybreak
