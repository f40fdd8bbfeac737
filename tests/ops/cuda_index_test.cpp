// The index arithmetic of CUDA kernels, against brute force, on the CPU.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cuda/chunks.h"
#include "backend/cuda/index.h"
#include "backend/cuda/moments.h"
#include "ops/op.h"
#include "ops/ssd_loss_math.h"

namespace daybreak::cuda {
namespace {

/// All windows that fit, floor and ceil form.
std::vector<WindowAxis> window_axes() {
  std::vector<WindowAxis> axes;
  for (int in = 1; in <= 9; ++in) {
    for (int size = 1; size <= 4; ++size) {
      for (int stride = 1; stride <= 5; ++stride) {
        for (int before = 0; before < size; ++before) {
          for (int after = 0; after < size; ++after) {
            if (in + before + after < size) continue;
            for (const bool ceil_mode : {false, true}) {
              const int out = window_output(in, size, stride, before, after, 1, ceil_mode);
              axes.push_back({in, out, size, stride, before, after});
            }
          }
        }
      }
    }
  }
  return axes;
}

bool covers(const WindowAxis& axis, int o, int i) {
  const int begin = o * axis.stride - axis.before;
  return begin <= i && i < begin + axis.size;
}

TEST(CudaIndex, WindowsAndWhatTheyCover) {
  for (const WindowAxis& axis : window_axes()) {
    for (int o = 0; o < axis.out; ++o) {
      const Span inputs = window_inputs(axis, o);
      EXPECT_LT(inputs.begin, inputs.end);
      int padded = 0;
      for (int i = -axis.before; i < axis.in + axis.after + axis.size; ++i) {
        const bool inside = i >= 0 && i < axis.in;
        EXPECT_EQ(inside && covers(axis, o, i), inputs.begin <= i && i < inputs.end);
        padded += covers(axis, o, i) && i < axis.in + axis.after ? 1 : 0;
      }
      EXPECT_EQ(window_padded_extent(axis, o), padded);
    }
    for (int i = 0; i < axis.in; ++i) {
      const Span outputs = windows_over(axis, i);
      for (int o = 0; o < axis.out; ++o) {
        EXPECT_EQ(covers(axis, o, i), outputs.begin <= o && o < outputs.end)
            << "in " << axis.in << " size " << axis.size << " stride " << axis.stride << " i " << i;
      }
    }
  }
}

TEST(CudaIndex, ConvolutionTapsAndTheirInverse) {
  for (int in = 1; in <= 8; ++in) {
    for (int size = 1; size <= 4; ++size) {
      for (int stride = 1; stride <= 3; ++stride) {
        for (int dilation = 1; dilation <= 2; ++dilation) {
          for (int pad = 0; pad <= 3; ++pad) {
            const int reach = dilation * (size - 1) + 1;
            if (in + 2 * pad < reach) continue;
            const int out = (in + 2 * pad - reach) / stride + 1;
            const ConvAxis axis{in, out, size, stride, pad, dilation};
            for (int k = 0; k < size; ++k) {
              std::vector<int> met(in, -1);
              for (int o = 0; o < out; ++o) {
                const int expected = o * stride + k * dilation - pad;
                const int i = conv_input(axis, o, k);
                EXPECT_EQ(i, expected >= 0 && expected < in ? expected : -1);
                if (i >= 0) met[i] = o;
              }
              for (int i = 0; i < in; ++i) EXPECT_EQ(conv_output(axis, i, k), met[i]);
            }
          }
        }
      }
    }
  }
}

TEST(CudaIndex, ColumnsAreCutWithoutGapsOrOverlap) {
  for (const int rows : {1, 31, 32, 33, 64, 1000, 4097, 32768, 1 << 30}) {
    for (const int channels : {1, 3, 64, 255, 256, 257, 4096}) {
      for (const int groups : {1, 2, 128, 65535}) {
        const ColumnShape shape = column_shape(groups, rows, channels);
        ASSERT_GE(shape.splits, 1);
        ASSERT_LE(shape.splits, 1024);  // y of a grid
        int next = 0;
        for (int split = 0; split < shape.splits; ++split) {
          const Span span = shape.stretch(split);
          ASSERT_EQ(span.begin, next);
          ASSERT_LE(span.begin, span.end);
          next = span.end;
        }
        EXPECT_EQ(next, rows) << groups << " x " << rows << " x " << channels;
      }
    }
  }
}

// Sums in f32 around the first value, as kernels take them, against two passes in double; and what
// sums around zero, as cuDNN leaves them, are good for.
TEST(CudaIndex, MomentsOfSums) {
  for (const double mean : {0.0, -3.0, 1000.0}) {
    std::vector<float> x(5000);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(mean + std::sin(0.7 * static_cast<double>(i)));
    }
    const double rows = static_cast<double>(x.size());
    double exact_mean = 0.0, exact_variance = 0.0;
    for (const float v : x) exact_mean += v / rows;
    for (const float v : x) exact_variance += (v - exact_mean) * (v - exact_mean) / rows;
    float sum = 0.0f, squares = 0.0f, plain_sum = 0.0f, plain_squares = 0.0f;
    for (const float v : x) {
      const float d = v - x[0];
      sum += d, squares += d * d;
      plain_sum += v, plain_squares += v * v;
    }
    const Moments around = moments_of(rows, x[0], sum, squares);
    EXPECT_NEAR(around.mean, exact_mean, 1e-6 * (1.0 + std::abs(mean)));
    EXPECT_NEAR(around.variance, exact_variance, 1e-4);
    const Moments plain = moments_of(rows, 0.0, plain_sum, plain_squares);
    EXPECT_GE(plain.variance, 0.0f);
    if (std::abs(mean) < 10.0) {
      EXPECT_NEAR(plain.mean, exact_mean, 1e-4);
      EXPECT_NEAR(plain.variance, exact_variance, 1e-3);
    }
  }
  EXPECT_EQ(moments_of(4.0, 0.0, 4.0, 3.999999).variance, 0.0f) << "rounding below zero";
  EXPECT_FLOAT_EQ(unbiased(2.0f, 5.0f), 2.5f);
  EXPECT_EQ(unbiased(2.0f, 1.0f), 2.0f);
}

TEST(CudaIndex, RowGridsCoverAndStayWithinTheLimits) {
  for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{255}, std::int64_t{1} << 30}) {
    for (const int columns : {1, 2, 3, 127, 128, 129, 1000, 8000000}) {
      const RowGrid grid = row_grid(rows, columns);
      EXPECT_EQ(grid.width * grid.height, 256u);
      EXPECT_GE(static_cast<std::int64_t>(grid.blocks_x) * grid.height, rows);
      EXPECT_GE(static_cast<std::int64_t>(grid.blocks_y) * grid.width, columns);
      EXPECT_LE(grid.blocks_x, 2147483647u);
      EXPECT_LE(grid.blocks_y, 65535u);
      // launch_row() counts in int.
      EXPECT_LE(static_cast<std::int64_t>(grid.blocks_x) * grid.height, 2147483647);
    }
  }
}

TEST(CudaIndex, ChunksHoldEveryTrainedElementOnce) {
  const std::vector<UpdateGroup> groups = {{0, 1, 1.0f, 0.0f, false},
                                           {16, 8192, 0.5f, 0.1f, false},
                                           {8208, 5000, 1.0f, 0.0f, true},
                                           {13216, 40000, 2.0f, 0.2f, false}};
  std::vector<int> seen(53216, 0);
  for (const Chunk& chunk : cut_chunks(groups)) {
    ASSERT_GT(chunk.count, 0);
    ASSERT_LE(chunk.count, kChunk);
    for (int i = 0; i < chunk.count; ++i) ++seen[chunk.offset + i];
    const UpdateGroup& group = groups[chunk.offset < 16 ? 0 : chunk.offset < 8208 ? 1 : 3];
    EXPECT_EQ(chunk.lr_scale, group.lr_scale);
    EXPECT_EQ(chunk.weight_decay, group.weight_decay);
  }
  for (const UpdateGroup& group : groups) {
    for (std::size_t i = group.offset; i < group.offset + group.count; ++i) {
      EXPECT_EQ(seen[i], group.frozen ? 0 : 1) << i;
    }
  }
}

TEST(CudaIndex, AdaptiveWindows) {
  for (int in = 1; in <= 17; ++in) {
    for (int out = 1; out <= 20; ++out) {
      std::vector<Span> windows;
      for (int o = 0; o < out; ++o) {
        const Span span = adaptive_inputs(in, out, o);
        EXPECT_EQ(span.begin, static_cast<int>(std::floor(static_cast<double>(o) * in / out)));
        EXPECT_EQ(span.end, static_cast<int>(std::ceil(static_cast<double>(o + 1) * in / out)));
        windows.push_back(span);
      }
      for (int i = 0; i < in; ++i) {
        const Span outputs = adaptive_outputs(in, out, i);
        for (int o = 0; o < out; ++o) {
          const bool covered = windows[o].begin <= i && i < windows[o].end;
          EXPECT_EQ(covered, outputs.begin <= o && o < outputs.end) << in << " " << out;
        }
      }
    }
  }
}

TEST(CudaIndex, PadSources) {
  const PadAxis reflect{4, 3, 3, PadKind::reflect}, symmetric{4, 4, 4, PadKind::symmetric};
  const PadAxis zero{2, 1, 2, PadKind::zero};
  const std::vector<int> reflected = {3, 2, 1, 0, 1, 2, 3, 2, 1, 0};
  const std::vector<int> mirrored = {3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0};
  const std::vector<int> zeros = {-1, 0, 1, -1, -1};
  for (std::size_t o = 0; o < reflected.size(); ++o) {
    EXPECT_EQ(pad_source(reflect, static_cast<int>(o)), reflected[o]);
  }
  for (std::size_t o = 0; o < mirrored.size(); ++o) {
    EXPECT_EQ(pad_source(symmetric, static_cast<int>(o)), mirrored[o]);
  }
  for (std::size_t o = 0; o < zeros.size(); ++o) {
    EXPECT_EQ(pad_source(zero, static_cast<int>(o)), zeros[o]);
  }
}

TEST(CudaIndex, PadTargetsInvertTheSources) {
  for (const PadKind kind : {PadKind::zero, PadKind::reflect, PadKind::symmetric}) {
    for (int in = 1; in <= 6; ++in) {
      const int most = kind == PadKind::reflect ? in - 1 : kind == PadKind::symmetric ? in : 7;
      const int least = kind == PadKind::zero ? -in : 0;  // zero may cut off
      for (int before = least; before <= most; ++before) {
        for (int after = least; after <= most; ++after) {
          const PadAxis axis{in, before, after, kind};
          const int out = in + before + after;
          if (out < 1) continue;
          std::vector<int> shown(in, 0);
          for (int o = 0; o < out; ++o) {
            const int source = pad_source(axis, o);
            ASSERT_LT(source, in);
            if (source >= 0) ++shown[source];
          }
          for (int i = 0; i < in; ++i) {
            const PadTargets targets = pad_targets(axis, i);
            EXPECT_EQ(targets.count, shown[i]);
            for (int t = 0; t < targets.count; ++t) {
              ASSERT_GE(targets.at[t], 0);
              ASSERT_LT(targets.at[t], out);
              EXPECT_EQ(pad_source(axis, targets.at[t]), i);
              for (int u = 0; u < t; ++u) EXPECT_NE(targets.at[t], targets.at[u]);
            }
          }
        }
      }
    }
  }
}

TEST(CudaIndex, LinearInterpolation) {
  for (int in = 1; in <= 7; ++in) {
    for (int scale = 1; scale <= 5; ++scale) {
      for (int o = 0; o < in * scale; ++o) {
        const double source = std::max(0.0, (o + 0.5) / scale - 0.5);
        const LinearTap tap = linear_tap(in, scale, o);
        EXPECT_EQ(tap.low, std::min(static_cast<int>(source), in - 1));
        EXPECT_EQ(tap.high, std::min(tap.low + 1, in - 1));
        EXPECT_NEAR(tap.fraction, source - std::floor(source), 1e-6);
        float sum = 0.0f;
        for (int i = 0; i < in; ++i) {
          const float weight = linear_weight(in, scale, o, i);
          sum += weight;
          const Span outputs = linear_outputs(in, scale, i);
          if (weight != 0.0f) {
            EXPECT_TRUE(outputs.begin <= o && o < outputs.end);
          }
        }
        EXPECT_NEAR(sum, 1.0f, 1e-6f);
      }
    }
  }
}

TEST(CudaIndex, DropoutDrawsTheSameBitsInAnyOrder) {
  const std::uint64_t seed = 0x1234567890ABCDEFull, step = (std::uint64_t{7} << 33) + 5;
  for (const std::uint32_t salt : {0u, 3u}) {
    for (const int n : {0, 1, 127}) {
      Draws draws(seed, Purpose::dropout, step, (std::uint64_t{salt} << 32) + n);
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(dropout_bits(seed, step, salt, n, i), draws.bits()) << i;
      }
    }
  }
}

// Draws from few values, so that many losses are equal.
TEST(CudaIndex, HardNegativesAreThoseOfASort) {
  Draws draws(5, Purpose::synthetic, 0, 0);
  for (const int count : {1, 2, 7, 100}) {
    for (const std::uint32_t values : {1u, 3u, 1000u}) {
      std::vector<std::uint64_t> keys;
      for (int i = 0; i < count; ++i) {
        const double loss = (static_cast<double>(draws.below(values)) - 1.0) * 0.37;
        keys.push_back(draws.below(5) == 0 ? 0 : ssd_order_key(loss));  // 0: no candidate
      }
      std::vector<int> order(keys.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] > keys[b]; });
      const auto candidates = count - std::count(keys.begin(), keys.end(), 0u);
      for (std::int64_t wanted = 1; wanted <= candidates; ++wanted) {
        const SsdSelection chosen =
            ssd_select(wanted, count, [&](std::uint64_t at_least, std::int64_t below) {
              std::int64_t found = 0;
              for (int i = 0; i < count; ++i) {
                found += keys[i] > at_least || (keys[i] == at_least && i < below) ? 1 : 0;
              }
              return found;
            });
        for (int place = 0; place < count; ++place) {
          const int i = order[place];
          EXPECT_EQ(chosen.has(keys[i], i), place < wanted) << count << " " << wanted << " " << i;
        }
      }
    }
  }
}

TEST(CudaIndex, OrderKeysOrderAsNumbersDo) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> rising = {-infinity, -1e300, -1.0, -1e-300,     -5e-324, 0.0,
                                      5e-324,    1e-300, 1.0,  1.0 + 1e-15, 1e300,   infinity};
  for (std::size_t i = 1; i < rising.size(); ++i) {
    EXPECT_LT(ssd_order_key(rising[i - 1]), ssd_order_key(rising[i])) << rising[i];
    EXPECT_GT(ssd_order_key(rising[i - 1]), 0u);
  }
  EXPECT_EQ(ssd_order_key(-0.0), ssd_order_key(0.0));
}

}  // namespace
}  // namespace daybreak::cuda
