#pragma once

#include <cstdint>
#include <vector>

#include "config/specs.h"
#include "core/box.h"
#include "data/image.h"

namespace daybreak {

/// Where a fitted picture comes from and goes to, in whole pixels: the part `crop` of the source is
/// resized to `place` in the output; the rest of the output is filled. Boxes come back by the same
/// numbers.
struct FitGeometry {
  int crop_x = 0, crop_y = 0, crop_w = 0, crop_h = 0;
  int place_x = 0, place_y = 0, place_w = 0, place_h = 0;
};

/// Geometry for fitting a w x h picture to out_w x out_h. stretch: all of it, any aspect;
/// letterbox: all of it, aspect kept, centred (integers as in Darknet); center_crop: the largest
/// centred part of the output's aspect.
FitGeometry fit_geometry(int w, int h, int out_w, int out_h, Fit fit);

/// Where a box of the network's picture (fractions) lies in the w x h picture that was fitted, as
/// fractions of it: back by the same integers. Not clipped.
Box unfit_box(const Box& box, const FitGeometry& g, int w, int h, int out_w, int out_h);
/// The other way.
Box fit_box(const Box& box, const FitGeometry& g, int w, int h, int out_w, int out_h);

constexpr std::uint8_t kLetterboxFill = 127;

/// Fits a picture into `out` [out_h, out_w, c]. The one function that training, test and prediction
/// share. A picture of the right size is copied.
void fit_picture(const PictureView& picture, int out_w, int out_h, FitRule fit, std::uint8_t* out);
Image fit_picture(const PictureView& picture, int out_w, int out_h, FitRule fit);
/// The same without rounding, normalised as `input` says: out [channels, height, width] is what the
/// network computes with. The picture has input.channels channels.
void fit_normalized(const PictureView& picture, const InputSpec& input, float* out);

/// Resizes a picture of `channels` to floats [out_h, out_w, channels], bilinear; not `area`.
void resample_part(const PictureView& picture, const FitGeometry& geometry, Resample how,
                   std::vector<float>& out);

/// Resizes a part of a picture into `out`, rows `out_stride` bytes apart: averaging over areas when
/// both sides shrink, else bilinear with half-pixel centres.
void resize_part(const PictureView& picture, int x, int y, int w, int h, int out_w, int out_h,
                 std::uint8_t* out, std::int64_t out_stride);

}  // namespace daybreak
