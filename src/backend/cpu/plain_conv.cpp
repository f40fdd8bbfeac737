#include "backend/cpu/plain_conv.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/act_rows.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/simd.h"
#include "core/parallel.h"

// Vectors of 16 neighbouring pixels of one channel. Pointwise: a matrix product in register tiles
// of 8 output channels x 48 pixels, weights broadcast from memory, the pixels' channels read in
// place; the last tile of a row of pixels starts earlier instead of being cut, so some outputs are
// written twice. Depthwise and first layers: rows of the picture are copied once into a ring of
// rows with a zero border (stride 2: even and odd columns apart), so that no tap needs a check.

namespace daybreak {
namespace {

constexpr int kLanes = 16;
constexpr int kTileRows = 8;  // output channels of a tile
constexpr int kTileVecs = 3;  // vectors of pixels of a tile
constexpr int kMostWidth = 640;
constexpr int kMostChannels = 4;  // of a first layer's input

using Vec = float __attribute__((vector_size(64)));
using LooseVec = float __attribute__((vector_size(64), aligned(4), may_alias));

/// A convolution with its pointers, as the range functions see it.
struct Job {
  Shape x, y;
  int kernel = 1, stride = 1, pad = 0;
  const float *in = nullptr, *weight = nullptr, *bias = nullptr, *residual = nullptr;
  float* out = nullptr;
  float slope = 1.0f;  ///< what is below zero is multiplied by this
};

DAYBREAK_INLINE void load(Vec& to, const float* from) {
  to = *reinterpret_cast<const LooseVec*>(from);
}

DAYBREAK_INLINE void finish(Vec& value, const float* residual, float slope) {
  if (residual) {
    Vec other;
    load(other, residual);
    value += other;
  }
  if (slope != 1.0f) value = value > 0.0f ? value : value * slope;
}

// ---- pointwise --------------------------------------------------------------------------------

/// Outputs [R channels, V vectors] at `at` from K input channels, `step` floats apart.
template <int R, int V>
DAYBREAK_INLINE void tile(const Job& job, const float* x, const float* w, const float* bias,
                          std::int64_t step, std::int64_t at) {
  const int k_count = job.x.c;
  Vec acc[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) acc[r][v] = Vec{} + (bias ? bias[r] : 0.0f);
  }
  for (int k = 0; k < k_count; ++k) {
    Vec a[V];
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) load(a[v], x + k * step + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float factor = w[std::int64_t{r} * k_count + k];
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) acc[r][v] += a[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      const std::int64_t to = at + r * step + v * kLanes;
      finish(acc[r][v], job.residual ? job.residual + to : nullptr, job.slope);
      *reinterpret_cast<LooseVec*>(job.out + to) = acc[r][v];
    }
  }
}

template <int V>
DAYBREAK_INLINE void tile_of_rows(int rows, const Job& job, const float* x, const float* w,
                                  const float* bias, std::int64_t step, std::int64_t at) {
  switch (rows) {
    case 8:
      return tile<8, V>(job, x, w, bias, step, at);
    case 7:
      return tile<7, V>(job, x, w, bias, step, at);
    case 6:
      return tile<6, V>(job, x, w, bias, step, at);
    case 5:
      return tile<5, V>(job, x, w, bias, step, at);
    case 4:
      return tile<4, V>(job, x, w, bias, step, at);
    case 3:
      return tile<3, V>(job, x, w, bias, step, at);
    case 2:
      return tile<2, V>(job, x, w, bias, step, at);
    default:
      return tile<1, V>(job, x, w, bias, step, at);
  }
}

/// How the pixels of a channel are cut: whole tiles, then single vectors, the last one shifted
/// back.
struct PixelTiles {
  std::int64_t pixels = 0, wide = 0, narrow = 0;

  explicit PixelTiles(std::int64_t count) : pixels(count), wide(count / (kTileVecs * kLanes)) {
    narrow = (count - wide * kTileVecs * kLanes + kLanes - 1) / kLanes;
  }
  std::int64_t count() const { return wide + narrow; }
  std::int64_t start(std::int64_t i) const {
    if (i < wide) return i * kTileVecs * kLanes;
    return std::min(wide * kTileVecs * kLanes + (i - wide) * kLanes, pixels - kLanes);
  }
};

DAYBREAK_MULTIARCH void pointwise_range(const Job& job, std::int64_t begin, std::int64_t end) {
  const PixelTiles tiles(job.x.spatial());
  const int row_tiles = (job.y.c + kTileRows - 1) / kTileRows;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t block = i / row_tiles;
    const std::int64_t n = block / tiles.count(), p = block % tiles.count();
    const int row = static_cast<int>(i % row_tiles) * kTileRows;
    const int rows = std::min(kTileRows, job.y.c - row);
    const float* x = job.in + n * job.x.per_sample() + tiles.start(p);
    const float* w = job.weight + std::int64_t{row} * job.x.c;
    const float* bias = job.bias ? job.bias + row : nullptr;
    const std::int64_t at = n * job.y.per_sample() + row * tiles.pixels + tiles.start(p);
    if (p < tiles.wide) {
      tile_of_rows<kTileVecs>(rows, job, x, w, bias, tiles.pixels, at);
    } else {
      tile_of_rows<1>(rows, job, x, w, bias, tiles.pixels, at);
    }
  }
}

// ---- rows with a border -----------------------------------------------------------------------

/// A ring of rows of one channel, with zeros left and right. Rows are copied well before they are
/// read: loads across stores that are still under way would wait for them.
template <int K, int S>
struct RowRing {
  static constexpr int kRows = 16;
  static constexpr int kAhead = kRows - K - S;
  static constexpr int kRow = kMostWidth + 2 * K + 2 * kLanes;
  static constexpr int kHalf = kRow / 2;  // where odd columns start, for stride 2

  alignas(64) float rows[kRows][kRow];
  alignas(64) float zeros[kRow];
  int loaded;  // rows of the plane below this one are, or were, in the ring

  DAYBREAK_INLINE void clear(int width) {
    const std::size_t used = static_cast<std::size_t>(width) + 2 * K + 2 * kLanes;
    const std::size_t bytes = (S == 1 ? used : kHalf + used / 2 + kLanes) * sizeof(float);
    std::memset(zeros, 0, std::min(bytes, sizeof(zeros)));
    for (auto& row : rows) std::memset(row, 0, std::min(bytes, sizeof(row)));
    loaded = 0;
  }

  /// Row y of the plane; columns start at -pad. Zeros outside of the picture.
  DAYBREAK_INLINE const float* get(int y, int height) const {
    return y < 0 || y >= height ? zeros : rows[y % kRows];
  }

  /// Copies the rows up to y + kAhead that are not there yet.
  DAYBREAK_INLINE void fill(const float* plane, int y, int height, int width, int pad) {
    for (const int end = std::min(y + kAhead + 1, height); loaded < end; ++loaded) {
      copy(rows[loaded % kRows], plane + static_cast<std::int64_t>(loaded) * width, width, pad);
    }
  }

  static DAYBREAK_INLINE void copy(float* row, const float* from, int width, int pad) {
    if (S == 1) {
      std::memcpy(row + pad, from, static_cast<std::size_t>(width) * sizeof(float));
      return;
    }
    for (int parity = 0; parity < 2; ++parity) {
      const int first = (parity + pad) % 2;  // column of the picture
      float* to = row + parity * kHalf + (first + pad) / 2;
      const int count = (width - first + 1) / 2;
      for (int i = 0; i < count; ++i) to[i] = from[first + 2 * i];
    }
  }

  /// Where the 16 pixels under tap `kw` of output column `ox` start in a row.
  static DAYBREAK_INLINE int column(int ox, int kw) {
    return S == 1 ? ox + kw : (kw % 2) * kHalf + ox + kw / 2;
  }
};

// Sixteen outputs at `at`, or `count` at the end of a row. What lies behind the row is written too
// where this range goes on before `limit`: it comes to that place later.
DAYBREAK_INLINE void store(const Job& job, const Vec& sum, std::int64_t at, int count,
                           std::int64_t limit) {
  Vec value = sum;
  if (count >= kLanes || at + kLanes <= limit) {
    finish(value, job.residual ? job.residual + at : nullptr, job.slope);
    *reinterpret_cast<LooseVec*>(job.out + at) = value;
    return;
  }
  alignas(64) float other[kLanes] = {};
  for (int i = 0; job.residual && i < count; ++i) other[i] = job.residual[at + i];
  finish(value, other, job.slope);
  alignas(64) float all[kLanes];
  *reinterpret_cast<LooseVec*>(all) = value;
  for (int i = 0; i < count; ++i) job.out[at + i] = all[i];
}

template <int K, int S>
DAYBREAK_INLINE void depthwise_planes(const Job& job, std::int64_t begin, std::int64_t end) {
  RowRing<K, S> ring;
  ring.clear(job.x.w);
  for (std::int64_t plane = begin; plane < end; ++plane) {
    const int c = static_cast<int>(plane % job.x.c);
    const float bias = job.bias ? job.bias[c] : 0.0f;
    Vec taps[K * K];
    for (int t = 0; t < K * K; ++t) taps[t] = Vec{} + job.weight[c * K * K + t];
    ring.loaded = 0;
    for (int oy = 0; oy < job.y.h; ++oy) {
      const float* rows[K];
      const int top = oy * S - job.pad;
      ring.fill(job.in + plane * job.x.spatial(), top + K - 1, job.x.h, job.x.w, job.pad);
      for (int kh = 0; kh < K; ++kh) rows[kh] = ring.get(top + kh, job.x.h);
      const std::int64_t line = plane * job.y.spatial() + static_cast<std::int64_t>(oy) * job.y.w;
      for (int ox = 0; ox < job.y.w; ox += kLanes) {
        Vec sum = Vec{} + bias;
#pragma GCC unroll 5
        for (int kh = 0; kh < K; ++kh) {
          Vec part = {};  // a chain of K sums each, not one of K * K
#pragma GCC unroll 5
          for (int kw = 0; kw < K; ++kw) {
            Vec pixels;
            load(pixels, rows[kh] + RowRing<K, S>::column(ox, kw));
            part += pixels * taps[kh * K + kw];
          }
          sum += part;
        }
        store(job, sum, line + ox, job.y.w - ox, end * job.y.spatial());
      }
    }
  }
}

DAYBREAK_MULTIARCH void depthwise_range(const Job& job, std::int64_t begin, std::int64_t end) {
  if (job.kernel == 3 && job.stride == 1) return depthwise_planes<3, 1>(job, begin, end);
  if (job.kernel == 3) return depthwise_planes<3, 2>(job, begin, end);
  if (job.stride == 1) return depthwise_planes<5, 1>(job, begin, end);
  return depthwise_planes<5, 2>(job, begin, end);
}

/// R output channels of one row, from all input channels.
template <int S, int R>
DAYBREAK_INLINE void first_row(const Job& job, const float* (&rows)[kMostChannels][3], int channel,
                               std::int64_t line) {
  for (int ox = 0; ox < job.y.w; ox += kLanes) {
    Vec acc[R];
    for (int r = 0; r < R; ++r) acc[r] = Vec{} + (job.bias ? job.bias[channel + r] : 0.0f);
    for (int c = 0; c < job.x.c; ++c) {
      for (int tap = 0; tap < 9; ++tap) {
        Vec pixels;
        load(pixels, rows[c][tap / 3] + RowRing<3, S>::column(ox, tap % 3));
        for (int r = 0; r < R; ++r) {
          acc[r] += pixels * job.weight[((channel + r) * job.x.c + c) * 9 + tap];
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      store(job, acc[r], line + r * std::int64_t{job.y.spatial()} + ox, job.y.w - ox, 0);
    }
  }
}

template <int S>
DAYBREAK_INLINE void first_rows(const Job& job, std::int64_t begin, std::int64_t end) {
  RowRing<3, S> rings[kMostChannels];
  for (int c = 0; c < job.x.c; ++c) rings[c].clear(job.x.w);
  std::int64_t sample = -1;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t n = i / job.y.h;
    const int oy = static_cast<int>(i % job.y.h);
    const int top = oy * S - job.pad;
    const float* rows[kMostChannels][3];
    for (int c = 0; c < job.x.c; ++c) {
      RowRing<3, S>& ring = rings[c];
      if (n != sample) ring.loaded = std::max(top, 0);
      const float* plane = job.in + n * job.x.per_sample() + std::int64_t{c} * job.x.spatial();
      ring.fill(plane, top + 2, job.x.h, job.x.w, job.pad);
      for (int kh = 0; kh < 3; ++kh) rows[c][kh] = ring.get(top + kh, job.x.h);
    }
    sample = n;
    const std::int64_t base = n * job.y.per_sample() + static_cast<std::int64_t>(oy) * job.y.w;
    int channel = 0;
    for (; channel + 4 <= job.y.c; channel += 4) {
      first_row<S, 4>(job, rows, channel, base + channel * std::int64_t{job.y.spatial()});
    }
    for (; channel < job.y.c; ++channel) {
      first_row<S, 1>(job, rows, channel, base + channel * std::int64_t{job.y.spatial()});
    }
  }
}

DAYBREAK_MULTIARCH void first_range(const Job& job, std::int64_t begin, std::int64_t end) {
  if (job.stride == 1) return first_rows<1>(job, begin, end);
  first_rows<2>(job, begin, end);
}

// ---- the offer --------------------------------------------------------------------------------

enum class Form : std::uint8_t { none, pointwise, depthwise, first };

Form form_of(const ConvProblem& p) {
  const bool square = p.w.h == p.w.w && p.stride[0] == p.stride[1] &&
                      p.pad_before[0] == p.pad_before[1] && p.pad_after[0] == p.pad_before[0] &&
                      p.pad_after[1] == p.pad_before[1];
  const bool dense = p.dilation[0] == 1 && p.dilation[1] == 1;
  if (p.transposed || p.dtype != DType::f32 || !square || !dense) return Form::none;
  const int k = p.w.h, stride = p.stride[0], pad = p.pad_before[0];
  if (p.groups == 1 && k == 1 && stride == 1 && pad == 0 && p.x.spatial() >= kLanes) {
    return Form::pointwise;
  }
  if (stride > 2 || pad >= k || p.x.w > kMostWidth) return Form::none;
  if (p.groups == p.x.c && p.x.c == p.y.c && (k == 3 || k == 5)) return Form::depthwise;
  // Few output channels: a blocked tensor would be mostly padding.
  const bool few = p.groups == 1 && p.x.c <= kMostChannels && p.y.c < 16;
  return few && k == 3 ? Form::first : Form::none;
}

void run(Form form, const Job& job) {
  // One part a thread, where there is enough to do: results do not depend on the borders.
  const auto share = [&](std::int64_t count, std::int64_t work, auto&& range) {
    const std::int64_t most = std::max<std::int64_t>(1, 2 * count * work / kGrain);
    const std::int64_t parts = std::min<std::int64_t>(compute_threads(), most);
    parallel_for(count, (count + parts - 1) / parts,
                 [&](std::int64_t begin, std::int64_t end) { range(job, begin, end); });
  };
  const std::int64_t taps = std::int64_t{job.kernel} * job.kernel;
  if (form == Form::pointwise) {
    const std::int64_t row_tiles = (job.y.c + kTileRows - 1) / kTileRows;
    const std::int64_t tiles = job.x.n * PixelTiles(job.x.spatial()).count() * row_tiles;
    share(tiles, std::int64_t{job.x.c} * kTileRows * kTileVecs, pointwise_range);
  } else if (form == Form::depthwise) {
    share(std::int64_t{job.x.n} * job.x.c, job.y.spatial() * taps / 8, depthwise_range);
  } else {
    share(std::int64_t{job.x.n} * job.y.h, job.y.w * job.y.c * taps / 8, first_range);
  }
}

}  // namespace

std::optional<KernelOffer> plain_conv_offer(const CpuContext& context, const KernelQuery& query,
                                            const ConvProblem& p) {
  const Form form = form_of(p);
  const bool inference = query.pass == Pass::forward && query.mode == Mode::eval;
  const bool plain = query.inputs[0].layout == kNchw && query.params[0].layout == kNchw;
  if (form == Form::none || !inference || !plain || context.block != kLanes) return std::nullopt;
  Job job;
  job.x = p.x, job.y = p.y;
  job.kernel = p.w.h, job.stride = p.stride[0], job.pad = p.pad_before[0];
  job.slope = p.act.kind == ActKind::relu    ? 0.0f
              : p.act.kind == ActKind::leaky ? p.act.slope
                                             : 1.0f;
  const Activation act = p.act;
  const bool later =
      act.kind != ActKind::none && act.kind != ActKind::relu && act.kind != ActKind::leaky;
  const char* name = form == Form::pointwise   ? "pointwise"
                     : form == Form::depthwise ? "depthwise"
                                               : "first_conv";
  const bool has_bias = p.bias, has_residual = p.residual;
  KernelOffer offer = own_offer(context, query, name, kNchw, [=](const Bindings& b) {
    Job now = job;
    now.in = as(b.x[0]), now.out = as(b.y), now.weight = as(b.w[0]);
    now.bias = has_bias ? as(b.w[1]) : nullptr;
    now.residual = has_residual ? as(b.x[1]) : nullptr;
    run(form, now);
    if (later) activate(act, now.out, now.y.count());
  });
  return offer;
}

}  // namespace daybreak
