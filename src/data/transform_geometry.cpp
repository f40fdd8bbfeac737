#include <algorithm>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/multiarch.h"
#include "data/transforms.h"

namespace daybreak {

std::int32_t border_index(std::int64_t i, std::int32_t n, BorderMode mode) {
  if (i >= 0 && i < n) return static_cast<std::int32_t>(i);
  switch (mode) {
    case BorderMode::zero:
      return kOutside;
    case BorderMode::edge:
      return i < 0 ? 0 : n - 1;
    case BorderMode::symmetric:
    case BorderMode::reflect:
      break;
  }
  const bool repeat_edge = mode == BorderMode::symmetric;
  if (n == 1) return 0;
  const std::int64_t period = repeat_edge ? std::int64_t{2} * n : std::int64_t{2} * n - 2;
  std::int64_t k = i % period;
  if (k < 0) k += period;
  if (k >= n) k = period - k - (repeat_edge ? 1 : 0);
  return static_cast<std::int32_t>(k);
}

namespace {

#define DAYBREAK_INLINE inline __attribute__((always_inline))

int draw_offset(int slack, bool compat_f0, Draws& draws) {
  // fastai 0.7: floor(u * slack), so the last offset never comes.
  const int choices = compat_f0 ? std::max(1, slack) : slack + 1;
  return static_cast<int>(draws.below(static_cast<std::uint32_t>(choices)));
}

}  // namespace

CropStart draw_pad_crop(const PadCrop& spec, int w, int h, int out_w, int out_h, Draws& draws) {
  DAYBREAK_ASSERT(w + 2 * spec.pad >= out_w && h + 2 * spec.pad >= out_h);
  const int x = draw_offset(w + 2 * spec.pad - out_w, spec.compat_f0, draws);
  const int y = draw_offset(h + 2 * spec.pad - out_h, spec.compat_f0, draws);
  return {x - spec.pad, y - spec.pad};
}

void crop_axis(const BorderMap& map, int start, int out, BorderMode mode, BorderMap& result) {
  const auto n = static_cast<std::int32_t>(map.size());
  result.resize(static_cast<std::size_t>(out));
  const int first = static_cast<int>(std::clamp<std::int64_t>(-std::int64_t{start}, 0, out));
  const int last = static_cast<int>(std::clamp<std::int64_t>(std::int64_t{n} - start, first, out));
  const auto beyond = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::int32_t at = border_index(std::int64_t{start} + i, n, mode);
      result[static_cast<std::size_t>(i)] =
          at == kOutside ? kOutside : map[static_cast<std::size_t>(at)];
    }
  };
  beyond(0, first);
  if (last > first) {
    std::copy_n(map.begin() + start + first, last - first, result.begin() + first);
  }
  beyond(last, out);
}

bool draw_flip(const Flip& spec, std::uint64_t seed, std::int64_t epoch, std::int64_t sample,
               Draws& draws) {
  if (!spec.alternate) return draws.uniform() < static_cast<float>(spec.p);
  // The side of epoch 0 must not depend on the epoch: its own stream, of an epoch that never comes.
  Draws side(seed, Purpose::augment, std::numeric_limits<std::uint64_t>::max(),
             static_cast<std::uint64_t>(sample));
  const std::uint32_t first = side.bits();
  const std::uint32_t start = (spec.vertical ? first >> 1 : first) & 1u;
  return ((static_cast<std::uint64_t>(epoch) + start) & 1u) != 0;
}

namespace {

void find_runs(const BorderMap& xs, std::vector<GatherRun>& runs) {
  runs.clear();
  const auto n = static_cast<std::int32_t>(xs.size());
  for (std::int32_t x = 0; x < n;) {
    GatherRun run{x, xs[static_cast<std::size_t>(x)], 1, 1};
    if (run.from == kOutside) {
      run.step = 0;
    } else if (x + 1 < n && xs[static_cast<std::size_t>(x) + 1] == run.from - 1 && run.from > 0) {
      run.step = -1;
    }
    for (++x; x < n; ++x, ++run.length) {
      const std::int32_t expected = run.step == 0 ? kOutside : run.from + run.step * run.length;
      if (xs[static_cast<std::size_t>(x)] != expected || (run.step != 0 && expected < 0)) break;
    }
    runs.push_back(run);
  }
}

// Rows of small pictures are shorter than a call of memcpy is worth: blocks, the last one
// overlapping.
DAYBREAK_INLINE void copy_short(const std::uint8_t* __restrict from, std::size_t bytes,
                                std::uint8_t* __restrict to) {
  constexpr std::size_t kBlock = 16, kLong = 256;
  if (bytes < kBlock) {
    for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
  } else if (bytes > kLong) {
    std::memcpy(to, from, bytes);
  } else {
    for (std::size_t i = 0; i + kBlock <= bytes; i += kBlock) std::memcpy(to + i, from + i, kBlock);
    std::memcpy(to + bytes - kBlock, from + bytes - kBlock, kBlock);
  }
}

// Pixel `from` of the source goes first, those to its left follow.
template <int kChannels>
DAYBREAK_INLINE void copy_mirrored(const std::uint8_t* __restrict from, std::int32_t length,
                                   std::uint8_t* __restrict to) {
  std::int32_t i = 0;
  if constexpr (kChannels == 3) {
    // Five pixels travel in 16 bytes. The first byte is one of the next pixel, which is why there
    // must be one; the last byte is overwritten by it.
    using Bytes = std::uint8_t __attribute__((vector_size(16)));
    constexpr Bytes kOrder = {13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0};
    for (; i + 5 < length; i += 5) {
      Bytes five;
      std::memcpy(&five, from - i * 3 - 13, sizeof(five));
      five = __builtin_shuffle(five, kOrder);
      std::memcpy(to + i * 3, &five, sizeof(five));
    }
  }
  for (; i < length; ++i) {
    for (int c = 0; c < kChannels; ++c) to[i * kChannels + c] = from[c - i * kChannels];
  }
}

template <int kChannels>
DAYBREAK_INLINE void gather_row(const std::uint8_t* __restrict from,
                                std::span<const GatherRun> runs, std::uint8_t* __restrict to) {
  for (const GatherRun& run : runs) {
    std::uint8_t* target = to + run.to * kChannels;
    const std::uint8_t* source = from + run.from * kChannels;
    const std::size_t bytes = static_cast<std::size_t>(run.length) * kChannels;
    if (run.step == 1) {
      copy_short(source, bytes, target);
    } else if (run.step == 0) {
      std::memset(target, 0, bytes);
    } else {
      copy_mirrored<kChannels>(source, run.length, target);
    }
  }
}

void gather_row_any(const std::uint8_t* from, std::span<const GatherRun> runs, int channels,
                    std::uint8_t* to) {
  for (const GatherRun& run : runs) {
    for (std::int32_t i = 0; i < run.length; ++i) {
      std::uint8_t* target = to + static_cast<std::int64_t>(run.to + i) * channels;
      if (run.step == 0) {
        std::memset(target, 0, static_cast<std::size_t>(channels));
      } else {
        std::memcpy(target, from + static_cast<std::int64_t>(run.from + run.step * i) * channels,
                    static_cast<std::size_t>(channels));
      }
    }
  }
}

// The lines of a part of memory.
DAYBREAK_INLINE void ask_for(std::span<const std::uint8_t> memory, std::size_t begin,
                             std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const std::size_t end = std::min(begin + bytes, memory.size());
  for (std::size_t at = begin / kLine * kLine; at < end; at += kLine) {
    __builtin_prefetch(memory.data() + at);
  }
}

}  // namespace

DAYBREAK_MULTIARCH void gather(const PictureView& picture, const BorderMap& xs, const BorderMap& ys,
                               std::vector<GatherRun>& runs, std::span<const std::uint8_t> ahead,
                               std::uint8_t* out) {
  find_runs(xs, runs);
  const std::int64_t in_stride = static_cast<std::int64_t>(picture.w) * picture.c;
  const std::int64_t out_stride = static_cast<std::int64_t>(xs.size()) * picture.c;
  const std::size_t share = (ahead.size() + ys.size() - 1) / ys.size();
  for (std::size_t row = 0; row < ys.size(); ++row, out += out_stride) {
    ask_for(ahead, row * share, share);
    const std::int32_t y = ys[row];
    if (y == kOutside) {
      std::memset(out, 0, static_cast<std::size_t>(out_stride));
    } else {
      const std::uint8_t* from = picture.pixels + y * in_stride;
      if (picture.c == 3) {
        gather_row<3>(from, runs, out);
      } else if (picture.c == 1) {
        gather_row<1>(from, runs, out);
      } else {
        gather_row_any(from, runs, picture.c, out);
      }
    }
  }
}

}  // namespace daybreak
