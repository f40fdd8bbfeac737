#include "data/fit.h"

#include <algorithm>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "data/opencv_setup.h"

namespace daybreak {

FitGeometry fit_geometry(int w, int h, int out_w, int out_h, Fit fit) {
  FitGeometry g{0, 0, w, h, 0, 0, out_w, out_h};
  const std::int64_t wide_w = w;
  const std::int64_t wide_h = h;
  if (fit == Fit::letterbox) {
    if (wide_h * out_w < wide_w * out_h) {  // wider than the output: its width decides
      g.place_h = std::max(1, static_cast<int>(wide_h * out_w / w));
    } else {
      g.place_w = std::max(1, static_cast<int>(wide_w * out_h / h));
    }
    g.place_x = (out_w - g.place_w) / 2;
    g.place_y = (out_h - g.place_h) / 2;
  } else if (fit == Fit::center_crop) {
    if (wide_h * out_w < wide_w * out_h) {
      g.crop_w = std::max(1, static_cast<int>(wide_h * out_w / out_h));
    } else {
      g.crop_h = std::max(1, static_cast<int>(wide_w * out_h / out_w));
    }
    g.crop_x = (w - g.crop_w) / 2;
    g.crop_y = (h - g.crop_h) / 2;
  }
  return g;
}

Box fit_box(const Box& box, const FitGeometry& g, int w, int h, int out_w, int out_h) {
  const double sx = static_cast<double>(g.place_w) / g.crop_w;
  const double sy = static_cast<double>(g.place_h) / g.crop_h;
  Box result;
  result.cx = static_cast<float>((g.place_x + (double{box.cx} * w - g.crop_x) * sx) / out_w);
  result.cy = static_cast<float>((g.place_y + (double{box.cy} * h - g.crop_y) * sy) / out_h);
  result.w = static_cast<float>(double{box.w} * w * sx / out_w);
  result.h = static_cast<float>(double{box.h} * h * sy / out_h);
  return result;
}

Box unfit_box(const Box& box, const FitGeometry& g, int w, int h, int out_w, int out_h) {
  const double sx = static_cast<double>(g.crop_w) / g.place_w;
  const double sy = static_cast<double>(g.crop_h) / g.place_h;
  Box result;
  result.cx = static_cast<float>((g.crop_x + (double{box.cx} * out_w - g.place_x) * sx) / w);
  result.cy = static_cast<float>((g.crop_y + (double{box.cy} * out_h - g.place_y) * sy) / h);
  result.w = static_cast<float>(double{box.w} * out_w * sx / w);
  result.h = static_cast<float>(double{box.h} * out_h * sy / h);
  return result;
}

void resize_part(const PictureView& picture, int x, int y, int w, int h, int out_w, int out_h,
                 std::uint8_t* out, std::int64_t out_stride) {
  const std::int64_t stride = static_cast<std::int64_t>(picture.w) * picture.c;
  const std::uint8_t* from = picture.pixels + y * stride + static_cast<std::int64_t>(x) * picture.c;
  if (w == out_w && h == out_h) {
    for (int row = 0; row < h; ++row) {
      std::memcpy(out + row * out_stride, from + row * stride,
                  static_cast<std::size_t>(w) * picture.c);
    }
    return;
  }
  setup_opencv();
  const int type = CV_8UC(picture.c);
  const cv::Mat source(h, w, type, const_cast<std::uint8_t*>(from),
                       static_cast<std::size_t>(stride));
  cv::Mat target(out_h, out_w, type, out, static_cast<std::size_t>(out_stride));
  const bool shrinks = out_w <= w && out_h <= h;
  cv::resize(source, target, target.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
}

void fit_picture(const PictureView& picture, int out_w, int out_h, FitRule fit, std::uint8_t* out) {
  const FitGeometry g = fit_geometry(picture.w, picture.h, out_w, out_h, fit);
  const std::int64_t stride = static_cast<std::int64_t>(out_w) * picture.c;
  if (g.place_w != out_w || g.place_h != out_h) {
    std::memset(out, kLetterboxFill, static_cast<std::size_t>(stride) * out_h);
  }
  std::uint8_t* target =
      out + g.place_y * stride + static_cast<std::int64_t>(g.place_x) * picture.c;
  if (fit.resample == Resample::area || (g.crop_w == g.place_w && g.crop_h == g.place_h)) {
    resize_part(picture, g.crop_x, g.crop_y, g.crop_w, g.crop_h, g.place_w, g.place_h, target,
                stride);
    return;
  }
  std::vector<float> floats;
  resample_part(picture, g, fit.resample, floats);
  const std::int64_t row = static_cast<std::int64_t>(g.place_w) * picture.c;
  for (int y = 0; y < g.place_h; ++y) {
    for (std::int64_t i = 0; i < row; ++i) {
      target[y * stride + i] = static_cast<std::uint8_t>(floats[y * row + i] + 0.5f);
    }
  }
}

Image fit_picture(const PictureView& picture, int out_w, int out_h, FitRule fit) {
  Image out;
  out.reshape(out_w, out_h, picture.c);
  fit_picture(picture, out_w, out_h, fit, out.hwc.data());
  return out;
}

}  // namespace daybreak
