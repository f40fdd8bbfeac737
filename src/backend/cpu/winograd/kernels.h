#pragma once

#include <cstdint>

// The inner loops of the bilinear convolutions of scheme.h, for processors with AVX-512. Tensors
// are blocked by 16 channels. Operands of the products are "words" of 32 bits: a float, or two bf16
// that follow each other along the summed axis. With P tiles (padded to even numbers where pairs of
// tiles make a word) and T^2 products:
//   spread tensors V, Z  [T^2][blocks][tiles][16 lanes]          f32; bf16 summed over channels: 8
//   words a tile
//                        [T^2][blocks][tiles / 2][16 lanes]      bf16 summed over tiles
//   spread weights U     [T^2][panels][summed words][panel width]
//   products M           [T^2][blocks][tiles][16] f32, or D [T^2][channels of x][channels of y] f32
//   for weights
// The step from one of the T^2 parts to the next is given apart: a power of two would put all parts
// of a tile into the same set of the caches. Every function works on the items [begin, end) of the
// count its comment names, so that a team can share them.

namespace daybreak::winograd {

enum class Kind : std::uint8_t { f43, map2, strided2, strided4 };

/// Tiles of a map [images][blocks][height][width][16]: window (i, j) starts at i * step - pad.
struct Tiling {
  std::int64_t images = 0;
  int blocks = 0, height = 0, width = 0;
  int rows = 0, columns = 0;  ///< tiles of a map
  int step = 0, pad = 0;
  std::int64_t tiles() const { return images * rows * columns; }
};

/// Map to transformed tiles. Items: blocks * units, a unit being a tile, or a pair of them.
struct SpreadJob {
  Tiling tiling;
  const void* map = nullptr;
  float* words = nullptr;
  std::int64_t step = 0;  ///< words
  std::int64_t units = 0;
  bool pairs = false;  ///< bf16 only: two tiles make a word
};

/// Transformed tiles back to the map. Items: images * blocks of the map's range [first_block, ...).
struct GatherJob {
  Tiling tiling;
  const float* products = nullptr;
  std::int64_t step = 0;   ///< floats
  std::int64_t tiles = 0;  ///< of a block in `products`
  int first_block = 0, block_count = 0;
  void* map = nullptr;
  float* scratch = nullptr;  ///< height * width * 16 floats; bf16 maps of overlapping windows only
};

/// 3 x 3 weights in f32 to U; one of the two strides is 1. Items: (outputs / 16) * (summed entries
/// / 16).
struct WeightJob {
  const float* weights = nullptr;                ///< of the first output lane
  std::int64_t tap_stride = 0, lane_stride = 0;  ///< in floats
  std::int64_t sum_stride = 0;
  std::int64_t summed = 0;   ///< words along the summed axis
  std::int64_t outputs = 0;  ///< lanes
  std::int64_t step = 0;     ///< words
  int panel = 32;            ///< lanes of a panel
  float* words = nullptr;
};

/// D back to the gradient of the weights [3][3][channels of x][channels of y]. Items: rows *
/// (columns / 16).
struct WeightGradientJob {
  const float* products = nullptr;  ///< [T^2][rows][columns]
  std::int64_t step = 0;            ///< floats
  std::int64_t rows = 0, columns = 0;
  float* gradient = nullptr;                    ///< of the first column
  std::int64_t tap_stride = 0, row_stride = 0;  ///< in floats
};

/// T^2 matrix products. Items: T^2 * panels.
struct ProductJob {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  std::int64_t a_step = 0, b_step = 0, c_step = 0;  ///< words from one product to the next
  std::int64_t rows = 0;                            ///< tiles, or channels of x
  std::int64_t tiles = 0;   ///< tiles (words of tiles) of a block of a, c (weights: b)
  std::int64_t summed = 0;  ///< words
  std::int64_t columns = 0;
  int panel = 32;
  bool accumulate = false;  ///< add to c
};

struct Kernels {
  int products = 0;  ///< T
  int outputs = 0, window = 0, stride = 0, pad = 0;
  void (*spread_input)(const SpreadJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*spread_output)(const SpreadJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*gather_output)(const GatherJob&, std::int64_t begin, std::int64_t end) = nullptr;
  /// Windows overlap: the items of one image and block are summed.
  void (*gather_input)(const GatherJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*spread_weights)(const WeightJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*gather_weights)(const WeightGradientJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*multiply)(const ProductJob&, std::int64_t begin, std::int64_t end) = nullptr;
  void (*multiply_weights)(const ProductJob&, std::int64_t begin, std::int64_t end) = nullptr;
};

/// Maps in f32 or bf16; operands of the products have the same type, sums are f32.
const Kernels& kernels(Kind kind, bool bf16);

}  // namespace daybreak::winograd
