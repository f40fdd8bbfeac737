#include "backend/cpu/tap_gemm.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernel.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/planes.h"
#include "core/error.h"
#include "core/parallel.h"

// Activations are packed as [H, W, N, C], so that the samples of a pixel, and with stride 1 those
// of a run of pixels in a row, are the rows of a matrix. Weights are [KH, KW, IC, OC] ("hwio"):
// each tap is a matrix. All products run through dnnl_sgemm, which uses the whole team.

namespace daybreak {
namespace {

void gemm(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  const dnnl_status_t status =
      dnnl_sgemm(trans_a, trans_b, m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
  if (status != dnnl_success) {
    throw DeviceError("oneDNN's sgemm failed (status " + std::to_string(status) + ")");
  }
}

enum class Direction { pack, unpack };

// Between a tensor and [H, W, N, C]; unpacking leaves zeros in the padding of blocked tensors.
void move_pixels(const Planes& p, float* tensor, float* packed, Direction direction,
                 std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t q = i / p.samples, n = i % p.samples;
    float* row = packed + i * p.channels;
    for (int plane = 0; plane < p.per_sample; ++plane) {
      float* lanes = tensor + p.offset(n, plane) + q * p.pixel_stride;
      const int used = p.channels_at(plane), all = p.lanes_at(plane);
      const std::size_t bytes = static_cast<std::size_t>(used) * sizeof(float);
      if (direction == Direction::pack) {
        std::memcpy(row + plane * p.lanes, lanes, bytes);
      } else {
        std::memcpy(lanes, row + plane * p.lanes, bytes);
        for (int l = used; l < all; ++l) lanes[l] = 0.0f;
      }
    }
  }
}

void move(const Planes& p, float* tensor, float* packed, Direction direction) {
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / p.channels);
  parallel_for(p.pixels * p.samples, grain, [&](std::int64_t begin, std::int64_t end) {
    move_pixels(p, tensor, packed, direction, begin, end);
  });
}

class TapGemm {
 public:
  TapGemm(const ConvProblem& problem, const Planes& x, const Planes& y)
      : p_(problem), x_(x), y_(y) {}

  std::size_t packed_x() const { return rounded(p_.x.count()); }
  std::size_t packed_y() const { return rounded(p_.y.count()); }
  std::size_t workspace_bytes() const { return (packed_x() + packed_y()) * sizeof(float); }

  void forward(const Bindings& b) const {
    float* x = as(b.workspace);
    float* y = x + packed_x();
    move(x_, as(b.x[0]), x, Direction::pack);
    fill_rows(y, p_.bias ? as(b.w[1]) : nullptr);
    for_each_product([&](std::int64_t tap, std::int64_t rows, std::int64_t xq, std::int64_t yq) {
      gemm('N', 'N', rows, oc(), ic(), x + xq * row_x(), ic(), as(b.w[0]) + tap * ic() * oc(), oc(),
           1.0f, y + yq * row_y(), oc());
    });
    move(y_, as(b.y), y, Direction::unpack);
  }

  void backward_data(const Bindings& b) const {
    float* dx = as(b.workspace);
    float* dy = dx + packed_x();
    float* out = entry(b.dx, 0);
    if (!out) return;
    move(y_, as(b.dy), dy, Direction::pack);
    parallel_for(p_.x.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::fill(dx + begin, dx + end, 0.0f);
    });
    for_each_product([&](std::int64_t tap, std::int64_t rows, std::int64_t xq, std::int64_t yq) {
      gemm('N', 'T', rows, ic(), oc(), dy + yq * row_y(), oc(), as(b.w[0]) + tap * ic() * oc(),
           oc(), 1.0f, dx + xq * row_x(), ic());
    });
    move(x_, out, dx, Direction::unpack);
  }

  void backward_weights(const Bindings& b) const {
    float* x = as(b.workspace);
    float* dy = x + packed_x();
    move(y_, as(b.dy), dy, Direction::pack);
    if (float* db = entry(b.dw, 1)) sum_rows(dy, db);
    float* dw = entry(b.dw, 0);
    if (!dw) return;
    move(x_, as(b.x[0]), x, Direction::pack);
    std::int64_t done = -1;  // products come tap by tap: the first overwrites, the others add
    for_each_product([&](std::int64_t tap, std::int64_t rows, std::int64_t xq, std::int64_t yq) {
      for (std::int64_t skipped = done + 1; skipped < tap; ++skipped) clear_tap(dw, skipped);
      gemm('T', 'N', ic(), oc(), rows, x + xq * row_x(), ic(), dy + yq * row_y(), oc(),
           tap == done ? 1.0f : 0.0f, dw + tap * ic() * oc(), oc());
      done = tap;
    });
    for (std::int64_t tap = done + 1; tap < p_.w.spatial(); ++tap) clear_tap(dw, tap);
  }

 private:
  static std::size_t rounded(std::int64_t floats) {
    return static_cast<std::size_t>((floats + 15) / 16 * 16);
  }
  std::int64_t ic() const { return p_.x.c; }
  std::int64_t oc() const { return p_.y.c; }
  std::int64_t row_x() const { return ic() * p_.x.n; }  // floats of a pixel of all samples
  std::int64_t row_y() const { return oc() * p_.y.n; }

  // Calls product(tap, rows, pixel of x, pixel of y): rows samples-and-pixels lie one after the
  // other from there on in both.
  template <typename Product>
  void for_each_product(Product&& product) const {
    for (int kh = 0; kh < p_.w.h; ++kh) {
      const TapRange h =
          valid_outputs(kh, p_.x.h, p_.y.h, p_.stride[0], p_.dilation[0], p_.pad_before[0]);
      for (int kw = 0; kw < p_.w.w; ++kw) {
        const TapRange w =
            valid_outputs(kw, p_.x.w, p_.y.w, p_.stride[1], p_.dilation[1], p_.pad_before[1]);
        const int step = p_.stride[1] == 1 ? std::max(1, w.end - w.begin) : 1;
        for (int oh = h.begin; oh < h.end; ++oh) {
          const std::int64_t ih =
              std::int64_t{oh} * p_.stride[0] + kh * p_.dilation[0] - p_.pad_before[0];
          for (int ow = w.begin; ow < w.end; ow += step) {
            const std::int64_t iw =
                std::int64_t{ow} * p_.stride[1] + kw * p_.dilation[1] - p_.pad_before[1];
            product(std::int64_t{kh} * p_.w.w + kw, std::int64_t{step} * p_.x.n, ih * p_.x.w + iw,
                    std::int64_t{oh} * p_.y.w + ow);
          }
        }
      }
    }
  }

  void fill_rows(float* y, const float* bias) const {
    const std::int64_t rows = p_.y.n * std::int64_t{p_.y.spatial()};
    parallel_for(rows, std::max<std::int64_t>(1, kGrain / oc()),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     if (bias) {
                       std::copy(bias, bias + oc(), y + r * oc());
                     } else {
                       std::fill(y + r * oc(), y + (r + 1) * oc(), 0.0f);
                     }
                   }
                 });
  }

  // Column sums in row order; the team shares the columns.
  void sum_rows(const float* dy, float* db) const {
    const std::int64_t rows = p_.y.n * std::int64_t{p_.y.spatial()};
    parallel_for(oc(), 64, [&](std::int64_t begin, std::int64_t end) {
      double sums[64] = {};
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = begin; c < end; ++c) sums[c - begin] += dy[r * oc() + c];
      }
      for (std::int64_t c = begin; c < end; ++c) db[c] = static_cast<float>(sums[c - begin]);
    });
  }

  void clear_tap(float* dw, std::int64_t tap) const {
    std::fill(dw + tap * ic() * oc(), dw + (tap + 1) * ic() * oc(), 0.0f);
  }

  ConvProblem p_;
  Planes x_, y_;
};

bool suits(const ConvProblem& p) {
  if (p.transposed || p.groups != 1 || p.dtype != DType::f32) return false;
  return p.y.spatial() <= 64 && p.x.n >= 16 && p.x.c >= 32 && p.y.c >= 32;
}

}  // namespace

TapRange valid_outputs(int k, int in, int out, int stride, int dilation, int pad) {
  const int offset = k * dilation - pad;  // input = output * stride + offset
  const int begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int last = in - 1 - offset;
  const int end = last < 0 ? 0 : std::min(out, last / stride + 1);
  return {std::min(begin, end), end};
}

std::optional<KernelOffer> tap_gemm_offer(const CpuContext& context, const KernelQuery& query,
                                          const ConvProblem& problem) {
  if (!suits(problem)) return std::nullopt;
  const Layout layout = own_layout(query);
  const TapGemm taps(problem, make_planes(problem.x, layout, context.block),
                     make_planes(problem.y, layout, context.block));
  const Pass pass = query.pass;
  KernelOffer offer = own_offer(context, query, "tap_gemm", layout, [=](const Bindings& b) {
    if (pass == Pass::forward) {
      taps.forward(b);
    } else if (pass == Pass::backward_data) {
      taps.backward_data(b);
    } else {
      taps.backward_weights(b);
    }
  });
  const dnnl::memory::dims order = {query.params[0].shape.n, query.params[0].shape.c,
                                    query.params[0].shape.h, query.params[0].shape.w};
  const dnnl::memory::desc hwio(order, dnnl_type(problem.dtype), dnnl::memory::format_tag::cdba);
  offer.params[0] =
      context.with_layout(query.params[0], context.layouts->find(hwio, query.params[0].shape));
  offer.algorithm = KernelAlgorithm::gemm;
  offer.reads.inputs = pass == Pass::backward_weights;
  offer.workspace_bytes = taps.workspace_bytes();
  return offer;
}

}  // namespace daybreak
