#pragma once

#include <cstdint>

#include "core/philox.h"

// How a batch is made of pictures that all have the network's size, pixel by pixel: the transforms
// that move pixels only (data/transforms.h), in plain functions for host and device. Draws and
// results are those of data/augmenter.h; tests/data/batch_recipe_test.cpp proves it.
namespace daybreak {

constexpr int kMostBatchTransforms = 8;
constexpr int kMostBatchChannels = 4;

enum class BatchTransformKind : std::uint8_t { pad_crop, flip, cutout };
enum class BatchBorder : std::uint8_t { zero, edge, symmetric, reflect };

/// A transform with its options; which count depends on the kind.
struct BatchTransform {
  BatchTransformKind kind = BatchTransformKind::flip;
  int pad = 0;                               ///< pad_crop
  BatchBorder border = BatchBorder::zero;    ///< pad_crop
  int offsets = 1;                           ///< pad_crop: starts that are drawn from, per axis
  float p = 0.5f;                            ///< flip, cutout
  bool vertical = false, alternate = false;  ///< flip
  int size = 0;                              ///< cutout
};

struct BatchRecipe {
  int batch = 1, height = 1, width = 1, channels = 1;
  std::uint64_t samples = 0;  ///< of the data
  std::uint64_t seed = 0;
  int transforms = 0;
  BatchTransform transform[kMostBatchTransforms];
  std::uint8_t colour[kMostBatchChannels] = {};  ///< of cutout
};

/// What was drawn for one transform of one sample.
struct BatchDraw {
  int x = 0, y = 0;  ///< start of the crop, or centre of the square
  bool on = false;   ///< mirrored, or cut
};

/// Everything that was drawn for a sample.
struct BatchDraws {
  BatchDraw of[kMostBatchTransforms];
};

DAYBREAK_HOST_DEVICE inline BatchDraws draw_batch_sample(const BatchRecipe& recipe,
                                                         std::uint64_t epoch,
                                                         std::uint64_t sample) {
  BatchDraws result;
  Draws draws(recipe.seed, Purpose::augment, epoch, sample);
  for (int i = 0; i < recipe.transforms; ++i) {
    const BatchTransform& t = recipe.transform[i];
    BatchDraw& draw = result.of[i];
    switch (t.kind) {
      case BatchTransformKind::pad_crop:
        draw.x = static_cast<int>(draws.below(static_cast<std::uint32_t>(t.offsets))) - t.pad;
        draw.y = static_cast<int>(draws.below(static_cast<std::uint32_t>(t.offsets))) - t.pad;
        break;
      case BatchTransformKind::flip:
        if (t.alternate) {
          Draws side(recipe.seed, Purpose::augment, ~std::uint64_t{0}, sample);
          const std::uint32_t first = side.bits();
          const std::uint32_t start = (t.vertical ? first >> 1 : first) & 1u;
          draw.on = ((epoch + start) & 1u) != 0;
        } else {
          draw.on = draws.uniform() < t.p;
        }
        break;
      case BatchTransformKind::cutout:
        draw.on = draws.uniform() < t.p;
        draw.x = static_cast<int>(draws.below(static_cast<std::uint32_t>(recipe.width)));
        draw.y = static_cast<int>(draws.below(static_cast<std::uint32_t>(recipe.height)));
        break;
    }
  }
  return result;
}

/// Position i of a row of n pixels continued beyond its ends; -1 where it is black.
DAYBREAK_HOST_DEVICE inline int batch_border(int i, int n, BatchBorder border) {
  if (i >= 0 && i < n) return i;
  if (border == BatchBorder::zero) return -1;
  if (border == BatchBorder::edge) return i < 0 ? 0 : n - 1;
  if (n == 1) return 0;
  const int repeated = border == BatchBorder::symmetric ? 1 : 0;
  const int period = 2 * n - 2 + 2 * repeated;
  int k = i % period;
  if (k < 0) k += period;
  return k >= n ? period - k - repeated : k;
}

/// Where a pixel of the batch comes from: a place in the sample's picture, or a colour.
struct BatchPixel {
  enum From : std::uint8_t { picture, black, colour };
  From from = picture;
  int x = 0, y = 0;
};

/// Goes back from the last transform to the first.
DAYBREAK_HOST_DEVICE inline BatchPixel batch_pixel(const BatchRecipe& recipe,
                                                   const BatchDraws& draws, int x, int y) {
  for (int i = recipe.transforms - 1; i >= 0; --i) {
    const BatchTransform& t = recipe.transform[i];
    const BatchDraw& draw = draws.of[i];
    switch (t.kind) {
      case BatchTransformKind::pad_crop:
        x = batch_border(x + draw.x, recipe.width, t.border);
        y = batch_border(y + draw.y, recipe.height, t.border);
        if (x < 0 || y < 0) return {BatchPixel::black, 0, 0};
        break;
      case BatchTransformKind::flip:
        if (draw.on)
          (t.vertical ? y : x) = (t.vertical ? recipe.height - 1 - y : recipe.width - 1 - x);
        break;
      case BatchTransformKind::cutout: {
        const int left = draw.x - t.size / 2, top = draw.y - t.size / 2;
        if (draw.on && x >= left && x < left + t.size && y >= top && y < top + t.size) {
          return {BatchPixel::colour, 0, 0};
        }
        break;
      }
    }
  }
  return {BatchPixel::picture, x, y};
}

}  // namespace daybreak
