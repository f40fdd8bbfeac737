#pragma once

#include "core/philox.h"
#include "ops/pad.h"

// Index arithmetic of windows, borders and interpolation, the same on host and device: kernels
// use it, tests/ops/cuda_index_test.cpp proves it against brute force on the CPU.
namespace daybreak::cuda {

/// Positions begin <= i < end.
struct Span {
  int begin = 0, end = 0;
};

DAYBREAK_HOST_DEVICE constexpr int at_least(int v, int least) {
  return v < least ? least : v;
}
DAYBREAK_HOST_DEVICE constexpr int at_most(int v, int most) {
  return v > most ? most : v;
}

/// One axis of a pooling window.
struct WindowAxis {
  int in = 1, out = 1;
  int size = 1, stride = 1, before = 0, after = 0;
};

/// The inputs under window `o`, without padding.
DAYBREAK_HOST_DEVICE constexpr Span window_inputs(const WindowAxis& axis, int o) {
  const int begin = o * axis.stride - axis.before;
  return {at_least(begin, 0), at_most(begin + axis.size, axis.in)};
}

/// How many positions of window `o` lie inside the padded input (PyTorch's divisor of an average
/// that counts padding: what a ceil-mode window reaches beyond the padding is left out).
DAYBREAK_HOST_DEVICE constexpr int window_padded_extent(const WindowAxis& axis, int o) {
  const int begin = o * axis.stride - axis.before;
  return at_most(begin + axis.size, axis.in + axis.after) - begin;
}

/// The windows that cover input `i`.
DAYBREAK_HOST_DEVICE constexpr Span windows_over(const WindowAxis& axis, int i) {
  const int reach = i + axis.before;  // last position a window covering i may begin at
  const int first = reach - axis.size + 1;
  const int begin = first <= 0 ? 0 : (first + axis.stride - 1) / axis.stride;
  return {begin, at_most(reach / axis.stride + 1, axis.out)};
}

/// The inputs that adaptive output `o` averages: [floor(o * in / out), ceil((o + 1) * in / out)).
DAYBREAK_HOST_DEVICE constexpr Span adaptive_inputs(int in, int out, int o) {
  const long long size = in;
  return {static_cast<int>(o * size / out), static_cast<int>(((o + 1) * size + out - 1) / out)};
}

/// The adaptive outputs that input `i` takes part in.
DAYBREAK_HOST_DEVICE constexpr Span adaptive_outputs(int in, int out, int i) {
  const long long count = out;
  return {static_cast<int>(i * count / in), static_cast<int>(((i + 1) * count + in - 1) / in)};
}

/// One axis of a convolution.
struct ConvAxis {
  int in = 1, out = 1;
  int size = 1, stride = 1, pad = 0, dilation = 1;
};

/// The input under tap `k` of output `o`; -1 outside the picture.
DAYBREAK_HOST_DEVICE constexpr int conv_input(const ConvAxis& axis, int o, int k) {
  const int i = o * axis.stride - axis.pad + k * axis.dilation;
  return i < axis.in ? at_least(i, -1) : -1;
}

/// The output whose tap `k` lies on input `i`; -1 when there is none.
DAYBREAK_HOST_DEVICE constexpr int conv_output(const ConvAxis& axis, int i, int k) {
  const int reach = i + axis.pad - k * axis.dilation;
  if (reach < 0 || reach % axis.stride != 0 || reach / axis.stride >= axis.out) return -1;
  return reach / axis.stride;
}

/// One axis of a border operation.
struct PadAxis {
  int in = 1, before = 0, after = 0;
  PadKind kind = PadKind::zero;
};

/// The input that padded position `o` shows; -1 where it is zero.
DAYBREAK_HOST_DEVICE constexpr int pad_source(const PadAxis& axis, int o) {
  const int i = o - axis.before;
  if (i >= 0 && i < axis.in) return i;
  if (axis.kind == PadKind::zero) return -1;
  const int mirror = axis.kind == PadKind::reflect ? 0 : 1;  // is the edge pixel repeated?
  return i < 0 ? -i - mirror : 2 * (axis.in - 1) - i + mirror;
}

/// The padded positions that show one input: at most three.
struct PadTargets {
  int at[3] = {0, 0, 0};
  int count = 0;
};

DAYBREAK_HOST_DEVICE constexpr PadTargets pad_targets(const PadAxis& axis, int i) {
  PadTargets targets;
  const int own = axis.before + i;  // outside where the border is negative
  if (own >= 0 && own < axis.in + axis.before + axis.after) targets.at[targets.count++] = own;
  if (axis.kind == PadKind::zero) return targets;
  const int mirror = axis.kind == PadKind::reflect ? 0 : 1;
  const int left = axis.before - i - mirror;
  if (left >= 0 && left < axis.before) targets.at[targets.count++] = left;
  const int right = axis.before + 2 * (axis.in - 1) - i + mirror;
  if (right >= axis.before + axis.in && right < axis.before + axis.in + axis.after) {
    targets.at[targets.count++] = right;
  }
  return targets;
}

/// Linear interpolation of one axis: (1 - fraction) * x[low] + fraction * x[high].
struct LinearTap {
  int low = 0, high = 0;
  float fraction = 0.0f;
};

/// The taps of output `o` of an upsampling by `scale`, half-pixel centres, clamped borders: the
/// source position (o + 0.5) / scale - 0.5 as a fraction of integers, so every side agrees.
DAYBREAK_HOST_DEVICE constexpr LinearTap linear_tap(int in, int scale, int o) {
  const int numerator = at_least(2 * o + 1 - scale, 0);
  const int low = numerator / (2 * scale);
  LinearTap tap;
  tap.low = at_most(low, in - 1);
  tap.high = at_most(low + 1, in - 1);
  tap.fraction = static_cast<float>(numerator % (2 * scale)) / static_cast<float>(2 * scale);
  return tap;
}

/// Outputs whose taps may include input `i`.
DAYBREAK_HOST_DEVICE constexpr Span linear_outputs(int in, int scale, int i) {
  return {at_least((i - 1) * scale, 0), at_most((i + 2) * scale, in * scale)};
}

/// The weight of input `i` in output `o`.
DAYBREAK_HOST_DEVICE constexpr float linear_weight(int in, int scale, int o, int i) {
  const LinearTap tap = linear_tap(in, scale, o);
  return (tap.low == i ? 1.0f - tap.fraction : 0.0f) + (tap.high == i ? tap.fraction : 0.0f);
}

/// A launch with one thread per (row, column): x of the grid runs over rows, which are many, y over
/// columns; x of a block over columns, so that neighbours read neighbours.
struct RowGrid {
  unsigned blocks_x = 1, blocks_y = 1, width = 1, height = 1;
};
constexpr int kThreads = 256;
constexpr RowGrid row_grid(std::int64_t rows, int columns) {
  int width = 1;
  while (width < columns && width < 128) width *= 2;
  const int height = kThreads / width;
  return {static_cast<unsigned>((rows + height - 1) / height),
          static_cast<unsigned>((columns + width - 1) / width), static_cast<unsigned>(width),
          static_cast<unsigned>(height)};
}

/// `groups` matrices of `rows` x `channels`, one behind the other, whose columns are summed; each
/// is cut into `splits` stretches of rows. The cut depends on the shape alone, so results do not
/// depend on the GPU.
struct ColumnShape {
  int groups = 1, rows = 1, channels = 1;
  int splits = 1;

  DAYBREAK_HOST_DEVICE constexpr int split_rows() const { return (rows + splits - 1) / splits; }
  /// The rows of stretch `split`; may be empty.
  DAYBREAK_HOST_DEVICE constexpr Span stretch(int split) const {
    return {at_most(split * split_rows(), rows), at_most((split + 1) * split_rows(), rows)};
  }
  DAYBREAK_HOST_DEVICE constexpr std::int64_t partials() const {
    return static_cast<std::int64_t>(groups) * splits * channels;
  }
};

constexpr ColumnShape column_shape(int groups, int rows, int channels) {
  constexpr std::int64_t kBlocks = 1024;
  constexpr int kLeastRows = 32;
  const std::int64_t across = (channels + 255) / 256;
  std::int64_t splits = kBlocks / (across * groups);
  const std::int64_t most = rows / kLeastRows;
  if (splits > most) splits = most;
  if (splits < 1) splits = 1;
  return {groups, rows, channels, static_cast<int>(splits)};
}

/// The bits that decide about element `index` (NCHW order) of sample `n` of a dropout.
DAYBREAK_HOST_DEVICE inline std::uint32_t dropout_bits(std::uint64_t seed, std::uint64_t step,
                                                       std::uint32_t salt, int n,
                                                       std::int64_t index) {
  const std::uint64_t stream =
      (static_cast<std::uint64_t>(salt) << 32) + static_cast<std::uint64_t>(n);
  return Draws(seed, Purpose::dropout, step, stream).bits_at(static_cast<std::uint64_t>(index));
}

}  // namespace daybreak::cuda
