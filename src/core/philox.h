#pragma once

#include <array>
#include <cstdint>

// Shared by host and device code: nvcc defines __CUDACC__ and must see both versions.
#ifdef __CUDACC__
#define DAYBREAK_HOST_DEVICE __host__ __device__
#else
#define DAYBREAK_HOST_DEVICE
#endif

namespace daybreak {

/// What a random draw is for. Draws of different purposes never share a stream.
enum class Purpose : std::uint32_t {
  shuffle = 1,
  augment = 2,
  dropout = 3,
  init = 4,
  split = 5,
  lr_find = 6,
  synthetic = 7,
  picture_size = 8,
  anchors = 9,
};

/// Philox4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as
/// 1, 2, 3", SC 2011): the four outputs are a pure function of key and counter, so no state is
/// kept.
struct PhiloxBlock {
  std::uint32_t v[4];
};

DAYBREAK_HOST_DEVICE inline PhiloxBlock philox(std::uint32_t key0, std::uint32_t key1,
                                               std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                               std::uint32_t c3) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ key0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ key1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// A uniform number in [0, 1) with 24 bits.
DAYBREAK_HOST_DEVICE inline float uniform_from_bits(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f);
}

/// A stream of draws keyed by (seed, purpose, a, b): for augmentation a = epoch, b = sample index.
/// Copying it copies the position; the same key always gives the same numbers.
class Draws {
 public:
  DAYBREAK_HOST_DEVICE Draws(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b)
      : key0_(static_cast<std::uint32_t>(seed) ^
              (static_cast<std::uint32_t>(purpose) * 0x85EBCA6Bu)),
        key1_(static_cast<std::uint32_t>(seed >> 32) ^ static_cast<std::uint32_t>(a >> 32)),
        a_(static_cast<std::uint32_t>(a)),
        b0_(static_cast<std::uint32_t>(b)),
        b1_(static_cast<std::uint32_t>(b >> 32)) {}

  DAYBREAK_HOST_DEVICE std::uint32_t bits() {
    if (left_ == 0) {
      block_ = philox(key0_, key1_, counter_++, a_, b0_, b1_);
      left_ = 4;
    }
    return block_.v[4 - left_--];
  }
  /// The block that holds draw number `index`: draws index / 4 * 4 and the three after it.
  DAYBREAK_HOST_DEVICE PhiloxBlock block_at(std::uint64_t index) const {
    return philox(key0_, key1_, static_cast<std::uint32_t>(index / 4), a_, b0_, b1_);
  }
  /// The bits of draw number `index` of the stream, wherever the position is.
  DAYBREAK_HOST_DEVICE std::uint32_t bits_at(std::uint64_t index) const {
    return philox(key0_, key1_, static_cast<std::uint32_t>(index / 4), a_, b0_, b1_).v[index % 4];
  }
  /// Uniform in [0, 1).
  DAYBREAK_HOST_DEVICE float uniform() { return uniform_from_bits(bits()); }
  /// Uniform in [low, high).
  DAYBREAK_HOST_DEVICE float uniform(float low, float high) {
    return low + (high - low) * uniform();
  }
  /// Uniform integer in [0, bound), bound >= 1 (multiply-shift; bias below 2^-32 * bound).
  DAYBREAK_HOST_DEVICE std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{bits()} * bound) >> 32);
  }

 private:
  std::uint32_t key0_, key1_, a_, b0_, b1_;
  std::uint32_t counter_ = 0;
  int left_ = 0;
  PhiloxBlock block_{};
};

}  // namespace daybreak
