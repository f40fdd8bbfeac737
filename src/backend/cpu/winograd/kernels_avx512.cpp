// Compiled for AVX-512 (with its bf16 products, used in bf16 kernels only); called only where the
// processor has them. So nothing here may come from a header whose inline functions other files
// share.
#include <immintrin.h>

#include <utility>

#include "backend/cpu/winograd/kernels.h"
#include "backend/cpu/winograd/matrices.h"
#include "backend/cpu/winograd/scheme.h"

namespace daybreak::winograd {
namespace {

using v16 = __m512;
using bf16 = std::uint16_t;

inline v16 load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline v16 load(const bf16* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
inline void store(float* p, v16 x) {
  _mm512_storeu_ps(p, x);
}
inline void store(bf16* p, v16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}
// 16 words of (a, b) in bf16.
inline v16 pair(v16 a, v16 b) {
  const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)));
  const __m512i high = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(b)));
  return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

template <typename M, int R, int C>
constexpr bool is_first() {
  for (int c = 0; c < C; ++c) {
    if (M::at(R, c) != 0.0) return false;
  }
  return true;
}

template <typename M, int R, int C>
inline void add_term(v16& sum, v16 x) {
  constexpr double k = M::at(R, C);
  if constexpr (k != 0.0) {
    const v16 factor = _mm512_set1_ps(static_cast<float>(k));
    if constexpr (is_first<M, R, C>()) {
      sum = k == 1.0 ? x : factor * x;
    } else if constexpr (k == 1.0) {
      sum = sum + x;
    } else if constexpr (k == -1.0) {
      sum = sum - x;
    } else {
      sum = _mm512_fmadd_ps(factor, x, sum);
    }
  }
}

template <typename M, int R, int... C>
inline v16 dot(const v16* x, int stride, std::integer_sequence<int, C...>) {
  v16 sum = _mm512_setzero_ps();
  (add_term<M, R, C>(sum, x[C * stride]), ...);
  return sum;
}

// y[r * y_stride] = sum over c of M[r][c] x[c * x_stride]
template <typename M, int... R>
inline void multiply_column(const v16* x, int x_stride, v16* y, int y_stride,
                            std::integer_sequence<int, R...>) {
  using Columns = std::make_integer_sequence<int, M::kColumns>;
  ((y[R * y_stride] = dot<M, R>(x, x_stride, Columns())), ...);
}

// y = M x M^T for x of [columns][columns], y of [rows][rows].
template <typename M>
inline void transform(const v16* x, v16* y) {
  using Rows = std::make_integer_sequence<int, M::kRows>;
  v16 half[M::kRows * M::kColumns];
  for (int c = 0; c < M::kColumns; ++c) {
    multiply_column<M>(x + c, M::kColumns, half + c, M::kColumns, Rows());
  }
  for (int r = 0; r < M::kRows; ++r) {
    multiply_column<M>(half + r * M::kColumns, 1, y + r * M::kRows, 1, Rows());
  }
}

// Reads window `tile` of a block, zero outside the map.
template <int Size, typename Map>
inline void load_window(const Tiling& t, const Map* block, std::int64_t row, std::int64_t column,
                        v16* out) {
  for (int i = 0; i < Size; ++i) {
    const std::int64_t h = row + i;
    const bool inside = h >= 0 && h < t.height;
    for (int j = 0; j < Size; ++j) {
      const std::int64_t w = column + j;
      const bool here = inside && w >= 0 && w < t.width;
      out[i * Size + j] = here ? load(block + (h * t.width + w) * 16) : _mm512_setzero_ps();
    }
  }
}

template <typename M, typename Map>
inline void spread_tile(const SpreadJob& job, int block, std::int64_t tile, v16* out) {
  constexpr int kSize = M::kColumns;
  const Tiling& t = job.tiling;
  if (tile >= t.tiles()) {
    for (int i = 0; i < M::kRows * M::kRows; ++i) out[i] = _mm512_setzero_ps();
    return;
  }
  const std::int64_t in_map = tile % (t.rows * t.columns), image = tile / (t.rows * t.columns);
  const Map* map =
      static_cast<const Map*>(job.map) + (image * t.blocks + block) * t.height * t.width * 16;
  v16 window[kSize * kSize];
  load_window<kSize>(t, map, in_map / t.columns * t.step - t.pad,
                     in_map % t.columns * t.step - t.pad, window);
  transform<M>(window, out);
}

template <typename M, typename Map>
void spread(const SpreadJob& job, std::int64_t begin, std::int64_t end) {
  constexpr bool kBf16 = sizeof(Map) == 2;
  constexpr int kCount = M::kRows * M::kRows;
  const std::int64_t units = job.units;
  for (std::int64_t item = begin; item < end; ++item) {
    const int block = static_cast<int>(item / units);
    v16 first[kCount];
    if constexpr (kBf16) {
      if (job.pairs) {
        v16 second[kCount];
        spread_tile<M, Map>(job, block, item % units * 2, first);
        spread_tile<M, Map>(job, block, item % units * 2 + 1, second);
        for (int i = 0; i < kCount; ++i) {
          store(job.words + i * job.step + item * 16, pair(first[i], second[i]));
        }
        continue;
      }
      spread_tile<M, Map>(job, block, item % units, first);
      for (int i = 0; i < kCount; ++i) {
        store(reinterpret_cast<bf16*>(job.words + i * job.step + item * 8), first[i]);
      }
    } else {
      spread_tile<M, Map>(job, block, item % units, first);
      for (int i = 0; i < kCount; ++i) store(job.words + i * job.step + item * 16, first[i]);
    }
  }
}

template <typename M>
inline void gather_tile(const GatherJob& job, std::int64_t block, std::int64_t tile, v16* out) {
  constexpr int kCount = M::kColumns * M::kColumns;
  v16 products[kCount];
  for (int i = 0; i < kCount; ++i) {
    products[i] = load(job.products + i * job.step + (block * job.tiles + tile) * 16);
  }
  transform<M>(products, out);
}

template <typename M, bool Overlap, typename To>
inline void put_window(const Tiling& t, const v16* values, std::int64_t row, std::int64_t column,
                       To* to) {
  constexpr int kSize = M::kRows;
  for (int i = 0; i < kSize; ++i) {
    const std::int64_t h = row + i;
    if (h < 0 || h >= t.height) continue;
    for (int j = 0; j < kSize; ++j) {
      const std::int64_t w = column + j;
      if (w < 0 || w >= t.width) continue;
      To* at = to + (h * t.width + w) * 16;
      if constexpr (Overlap) {
        store(at, load(at) + values[i * kSize + j]);
      } else {
        store(at, values[i * kSize + j]);
      }
    }
  }
}

template <typename M, bool Overlap, typename Map, typename To>
inline void gather_map(const GatherJob& job, std::int64_t image, std::int64_t block, To* to) {
  const Tiling& t = job.tiling;
  const std::int64_t first = image * t.rows * t.columns;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    for (std::int64_t c = 0; c < t.columns; ++c) {
      v16 values[M::kRows * M::kRows];
      gather_tile<M>(job, block, first + r * t.columns + c, values);
      put_window<M, Overlap>(t, values, r * t.step - t.pad, c * t.step - t.pad, to);
    }
  }
}

template <typename M, bool Overlap, typename Map>
void gather(const GatherJob& job, std::int64_t begin, std::int64_t end) {
  const Tiling& t = job.tiling;
  const std::int64_t pixels = std::int64_t{t.height} * t.width;
  const bool one_tile = t.rows * t.columns == 1;
  for (std::int64_t item = begin; item < end; ++item) {
    const std::int64_t image = item / job.block_count, block = item % job.block_count;
    Map* map =
        static_cast<Map*>(job.map) + (image * t.blocks + job.first_block + block) * pixels * 16;
    if constexpr (!Overlap) {
      gather_map<M, false, Map>(job, image, block, map);
    } else {
      // A single window may leave pixels of the map untouched (stride 2), so zeros come first in
      // any case.
      const bool direct = sizeof(Map) == sizeof(float) || one_tile;
      float* sums = direct ? nullptr : job.scratch;
      if (direct) {
        for (std::int64_t i = 0; i < pixels; ++i) store(map + i * 16, _mm512_setzero_ps());
        gather_map<M, true, Map>(job, image, block, map);
        continue;
      }
      for (std::int64_t i = 0; i < pixels; ++i) store(sums + i * 16, _mm512_setzero_ps());
      gather_map<M, true, Map>(job, image, block, sums);
      for (std::int64_t i = 0; i < pixels; ++i) store(map + i * 16, load(sums + i * 16));
    }
  }
}

// Turns 16 rows of 16 floats, `stride` apart, into columns.
inline void transpose(const float* from, std::int64_t stride, v16* out) {
  __m512d a[16];
  for (int i = 0; i < 16; i += 2) {
    const v16 x = load(from + i * stride), y = load(from + (i + 1) * stride);
    a[i] = _mm512_castps_pd(_mm512_unpacklo_ps(x, y));
    a[i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(x, y));
  }
  v16 b[16];
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a[i], a[i + 2]));
    b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a[i], a[i + 2]));
    b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(a[i + 1], a[i + 3]));
    b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(a[i + 1], a[i + 3]));
  }
  // b[4 g + c]: column c of every quarter for the rows 4 g .. 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    const v16 low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88);
    const v16 low_odd = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd);
    const v16 high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88);
    const v16 high_odd = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
    out[c] = _mm512_shuffle_f32x4(low, high, 0x88);
    out[8 + c] = _mm512_shuffle_f32x4(low, high, 0xdd);
    out[4 + c] = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
    out[12 + c] = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
  }
}

// The nine taps of 16 lanes and 16 entries of the summed axis: [entry][tap].
inline void load_filters(const WeightJob& job, const float* from, v16 (&filters)[16][9]) {
  for (int tap = 0; tap < 9; ++tap) {
    const float* p = from + tap * job.tap_stride;
    if (job.lane_stride == 1) {
      for (int i = 0; i < 16; ++i) filters[i][tap] = load(p + i * job.sum_stride);
    } else {
      v16 columns[16];
      transpose(p, job.lane_stride, columns);
      for (int i = 0; i < 16; ++i) filters[i][tap] = columns[i];
    }
  }
}

template <typename S, bool Bf16>
void spread_weights(const WeightJob& job, std::int64_t begin, std::int64_t end) {
  constexpr int kCount = S::kProducts * S::kProducts;
  constexpr int kWords = Bf16 ? 8 : 16;  // of 16 entries
  const std::int64_t groups = job.summed / kWords, vectors = job.outputs / 16;
  for (std::int64_t item = begin; item < end; ++item) {
    const bool lanes_inside = job.lane_stride == 1;  // the contiguous axis
    const std::int64_t lane = (lanes_inside ? item % vectors : item / groups) * 16;
    const std::int64_t group = lanes_inside ? item / vectors : item % groups;
    v16 filters[16][9];
    load_filters(job, job.weights + lane * job.lane_stride + group * 16 * job.sum_stride, filters);
    float* to = job.words + lane / job.panel * job.panel * job.summed + group * kWords * job.panel +
                lane % job.panel;
    for (int word = 0; word < kWords; ++word, to += job.panel) {
      v16 first[kCount];
      if constexpr (Bf16) {
        v16 second[kCount];
        transform<G<S>>(filters[2 * word], first);
        transform<G<S>>(filters[2 * word + 1], second);
        for (int i = 0; i < kCount; ++i) store(to + i * job.step, pair(first[i], second[i]));
      } else {
        transform<G<S>>(filters[word], first);
        for (int i = 0; i < kCount; ++i) store(to + i * job.step, first[i]);
      }
    }
  }
}

template <typename S>
void gather_weights(const WeightGradientJob& job, std::int64_t begin, std::int64_t end) {
  constexpr int kCount = S::kProducts * S::kProducts;
  const std::int64_t vectors = job.columns / 16;
  for (std::int64_t item = begin; item < end; ++item) {
    const std::int64_t row = item / vectors, column = item % vectors * 16;
    v16 products[kCount], taps[9];
    for (int i = 0; i < kCount; ++i) {
      products[i] = load(job.products + i * job.step + row * job.columns + column);
    }
    transform<Transposed<G<S>>>(products, taps);
    for (int tap = 0; tap < 9; ++tap) {
      store(job.gradient + tap * job.tap_stride + row * job.row_stride + column, taps[tap]);
    }
  }
}

template <bool Bf16>
inline v16 multiply_add(v16 sum, v16 a, v16 b) {
  if constexpr (Bf16) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  } else {
    return _mm512_fmadd_ps(a, b, sum);
  }
}

// One word of the summed axis for R rows and V vectors of columns.
template <int R, int V, bool Bf16, int RowStride>
inline void rank_one(v16 (&sums)[R][V], const float* a, const v16 (&b)[V]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const v16 x = _mm512_set1_ps(a[r * RowStride]);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = multiply_add<Bf16>(sums[r][v], x, b[v]);
  }
}

// R tiles x V vectors of outputs, summed over channels.
template <int R, int V, bool Bf16>
void multiply_block(const ProductJob& job, const float* a, const float* b, float* c) {
  constexpr int kInner = Bf16 ? 8 : 16;  // words of a block of 16 channels
  v16 sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sums[r][v] = job.accumulate ? load(c + (v * job.tiles + r) * 16) : _mm512_setzero_ps();
    }
  }
  for (std::int64_t block = 0; block < job.summed; block += kInner) {
#pragma GCC unroll 2
    for (int i = 0; i < kInner; ++i) {
      v16 columns[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) columns[v] = load(b + v * 16);
      b += V * 16;
      rank_one<R, V, Bf16, kInner>(sums, a + i, columns);
    }
    a += job.tiles * kInner;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(c + (v * job.tiles + r) * 16, sums[r][v]);
  }
}

template <int R, int V, bool Bf16>
inline std::int64_t multiply_rows(const ProductJob& job, const float* a, const float* b, float* c,
                                  std::int64_t row) {
  constexpr int kInner = Bf16 ? 8 : 16;
  for (; row + R <= job.rows; row += R) {
    multiply_block<R, V, Bf16>(job, a + row * kInner, b, c + row * 16);
  }
  return row;
}

template <int V, bool Bf16>
inline void multiply_panel(const ProductJob& job, const float* a, const float* b, float* c) {
  std::int64_t row = multiply_rows<12, V, Bf16>(job, a, b, c, 0);
  row = multiply_rows<8, V, Bf16>(job, a, b, c, row);
  row = multiply_rows<4, V, Bf16>(job, a, b, c, row);
  multiply_rows<1, V, Bf16>(job, a, b, c, row);
}

template <bool Bf16>
void multiply(const ProductJob& job, std::int64_t begin, std::int64_t end) {
  const std::int64_t panels = job.columns / job.panel;
  for (std::int64_t item = begin; item < end; ++item) {
    const std::int64_t product = item / panels, panel = item % panels;
    const float* a = job.a + product * job.a_step;
    const float* b = job.b + product * job.b_step + panel * job.panel * job.summed;
    float* c = job.c + product * job.c_step + panel * job.panel * job.tiles;
    if (job.panel == 32) {
      multiply_panel<2, Bf16>(job, a, b, c);
    } else {
      multiply_panel<1, Bf16>(job, a, b, c);
    }
  }
}

// 8 channels of x times V vectors of channels of y, summed over tiles.
template <int V, bool Bf16>
void multiply_weight_block(const ProductJob& job, const float* a, const float* b, float* c) {
  constexpr int kRows = 8;
  v16 sums[kRows][V];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sums[r][v] = job.accumulate ? load(c + r * job.columns + v * 16) : _mm512_setzero_ps();
    }
  }
#pragma GCC unroll 2
  for (std::int64_t i = 0; i < job.summed; ++i) {
    v16 columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) columns[v] = load(b + (v * job.tiles + i) * 16);
    rank_one<kRows, V, Bf16, 1>(sums, a + i * 16, columns);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(c + r * job.columns + v * 16, sums[r][v]);
  }
}

template <bool Bf16>
void multiply_weights(const ProductJob& job, std::int64_t begin, std::int64_t end) {
  const std::int64_t panels = job.columns / job.panel;
  for (std::int64_t item = begin; item < end; ++item) {
    const std::int64_t product = item / panels, panel = item % panels;
    const float* a = job.a + product * job.a_step;
    const float* b = job.b + product * job.b_step + panel * job.panel * job.tiles;
    float* c = job.c + product * job.c_step + panel * job.panel;
    for (std::int64_t row = 0; row < job.rows; row += 8) {
      const float* rows = a + row / 16 * job.tiles * 16 + row % 16;
      if (job.panel == 32) {
        multiply_weight_block<2, Bf16>(job, rows, b, c + row * job.columns);
      } else {
        multiply_weight_block<1, Bf16>(job, rows, b, c + row * job.columns);
      }
    }
  }
}

template <typename S, typename Map>
Kernels make_kernels() {
  constexpr bool kBf16 = sizeof(Map) == 2;
  Kernels k;
  k.products = S::kProducts;
  k.outputs = S::kOutputs;
  k.window = S::kWindow;
  k.stride = S::kStride;
  k.pad = S::kPad;
  k.spread_input = spread<Bt<S>, Map>;
  k.spread_output = spread<A<S>, Map>;
  k.gather_output = gather<Transposed<A<S>>, false, Map>;
  k.gather_input = gather<Transposed<Bt<S>>, true, Map>;
  k.spread_weights = spread_weights<S, kBf16>;
  k.gather_weights = gather_weights<S>;
  k.multiply = multiply<kBf16>;
  k.multiply_weights = multiply_weights<kBf16>;
  return k;
}

template <typename S>
const Kernels& kernels_of(bool is_bf16) {
  static const Kernels f32 = make_kernels<S, float>();
  static const Kernels half = make_kernels<S, bf16>();
  return is_bf16 ? half : f32;
}

}  // namespace

const Kernels& kernels(Kind kind, bool is_bf16) {
  switch (kind) {
    case Kind::f43:
      return kernels_of<F43>(is_bf16);
    case Kind::map2:
      return kernels_of<Map2>(is_bf16);
    case Kind::strided2:
      return kernels_of<Strided<2>>(is_bf16);
    case Kind::strided4:
      return kernels_of<Strided<4>>(is_bf16);
  }
  return kernels_of<F43>(is_bf16);
}

}  // namespace daybreak::winograd
