#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "config/specs.h"
#include "core/philox.h"
#include "data/fit.h"
#include "data/image.h"

// The single transforms: for each kind a function that draws its parameters and one that applies
// them. augmenter.h strings them together.

namespace daybreak {

// ---- pad, crop, flip: separable, so a pair of index maps describes any sequence of them
// ----------

/// Source column (or row) of every output column (row); kOutside where the picture is padded black.
using BorderMap = std::vector<std::int32_t>;
constexpr std::int32_t kOutside = -1;

/// Position i of a row of n pixels continued beyond its ends; kOutside for BorderMode::zero. Row
/// abc: symmetric "cba|abc|cba", reflect "cb|abc|ba", edge "aaa|abc|ccc". Any distance is legal.
std::int32_t border_index(std::int64_t i, std::int32_t n, BorderMode mode);

/// Where the crop starts relative to the unpadded picture: -pad .. size + pad - out.
struct CropStart {
  int x = 0, y = 0;
};
/// Wants w + 2 * pad >= out_w and the same for the heights.
CropStart draw_pad_crop(const PadCrop& spec, int w, int h, int out_w, int out_h, Draws& draws);
/// Crops `out` positions from `start` out of what `map` shows.
void crop_axis(const BorderMap& map, int start, int out, BorderMode mode, BorderMap& result);

/// Whether the sample is mirrored. `draws` is the sample's own stream; the alternate form uses the
/// epoch and a side drawn once per sample.
bool draw_flip(const Flip& spec, std::uint64_t seed, std::int64_t epoch, std::int64_t sample,
               Draws& draws);

/// A stretch of an output row: `length` pixels from source pixel `from` on, going by `step` (1, -1;
/// 0: black).
struct GatherRun {
  std::int32_t to = 0, from = 0, length = 0, step = 0;
};
/// out[y, x] = picture[ys[y], xs[x]]; `runs` is scratch. Row by row, the processor is asked for the
/// memory `ahead`: all at once, it would wait.
void gather(const PictureView& picture, const BorderMap& xs, const BorderMap& ys,
            std::vector<GatherRun>& runs, std::span<const std::uint8_t> ahead, std::uint8_t* out);

// ---- parts and sizes ----------------------------------------------------------------------------

struct PartRect {
  int x = 0, y = 0, w = 0, h = 0;
};
/// Part of random area and aspect ratio (log-uniform); after ten parts that do not fit, the largest
/// centred part whose aspect lies in the range.
PartRect draw_random_part(const RandomResizedCrop& spec, int w, int h, Draws& draws);
/// The part of a w x h picture that Jitter or Zoom shows, which may reach beyond it. `frame` is
/// what the network would see without: with a letterbox it reaches beyond the picture, too.
struct Frame {
  double x = 0, y = 0, w = 0, h = 0;
};
Frame network_frame(int w, int h, int out_w, int out_h, Fit fit);
PartRect draw_jitter(const Jitter& spec, const Frame& frame, Draws& draws);
PartRect draw_zoom(const Zoom& spec, const Frame& frame, Draws& draws);
/// What a part of a w x h picture shows of it and where, when it is resized to out_w x out_h; false
/// when it shows nothing.
bool view_geometry(const PartRect& part, int w, int h, int out_w, int out_h, FitGeometry& g);

/// Size after Resize: shorter side = size; size 0: the smallest that covers out_w x out_h. The
/// other side keeps the aspect, rounded down.
std::array<int, 2> resized_size(const Resize& spec, int w, int h, int out_w, int out_h);

// ---- colour, rotation, cutout -------------------------------------------------------------------

struct JitterFactors {
  float brightness = 1.0f, contrast = 1.0f, saturation = 1.0f;
  float hue = 0.0f;  ///< turns
};
JitterFactors draw_color_jitter(const ColorJitter& spec, Draws& draws);
/// Applies brightness, contrast (around the mean grey), saturation, hue in this order, in place;
/// grey pictures take the first two only. Values are rounded and clipped to bytes once.
void color_jitter(std::uint8_t* pixels, std::int64_t count, int channels,
                  const JitterFactors& factors);

struct HsvFactors {
  float hue = 0.0f;  ///< turns
  float saturation = 1.0f, exposure = 1.0f;
};
HsvFactors draw_hsv(const Hsv& spec, Draws& draws);
/// Moves the hue and multiplies saturation and value, both at most 1, in place; grey pictures take
/// the exposure only.
void change_hsv(std::uint8_t* pixels, std::int64_t count, int channels, const HsvFactors& factors);

/// Angle in degrees, anticlockwise; 0 when the sample is not rotated.
float draw_rotate(const Rotate& spec, Draws& draws);
/// Rotates around the centre, bilinear, into `out` of the same size.
void rotate(const PictureView& picture, float degrees, BorderMode mode, std::uint8_t* out);

/// Centre of the square; x < 0 when the sample is spared.
struct CutoutCentre {
  int x = -1, y = -1;
};
CutoutCentre draw_cutout(const Cutout& spec, int w, int h, Draws& draws);
/// Fills [centre - size / 2, centre - size / 2 + size) in both directions, clipped, with `colour`.
void cutout(std::uint8_t* pixels, int w, int h, int channels, CutoutCentre centre, int size,
            std::span<const std::uint8_t> colour);

}  // namespace daybreak
