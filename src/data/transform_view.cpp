#include <algorithm>
#include <cmath>

#include "data/transforms.h"

// Jitter and zoom: another part of the plane is shown, which may reach beyond the picture.

namespace daybreak {
namespace {

PartRect rounded(double x0, double y0, double x1, double y1) {
  const int x = static_cast<int>(std::lround(x0));
  const int y = static_cast<int>(std::lround(y0));
  return {x, y, std::max(1, static_cast<int>(std::lround(x1)) - x),
          std::max(1, static_cast<int>(std::lround(y1)) - y)};
}

// The stretch [from, from + length) shown in `out` pixels: what of it lies in 0..side, and where.
bool view_axis(int from, int length, int side, int out, int& crop, int& crop_length, int& place,
               int& place_length) {
  crop = std::max(from, 0);
  crop_length = std::min(from + length, side) - crop;
  if (crop_length <= 0) return false;
  const double scale = static_cast<double>(out) / length;
  place = std::min(out - 1, static_cast<int>(std::lround((crop - from) * scale)));
  const int end = static_cast<int>(std::lround((crop + crop_length - from) * scale));
  place_length = std::clamp(end - place, 1, out - place);
  return true;
}

}  // namespace

Frame network_frame(int w, int h, int out_w, int out_h, Fit fit) {
  const FitGeometry g = fit_geometry(w, h, out_w, out_h, fit);
  const double sx = static_cast<double>(g.crop_w) / g.place_w;
  const double sy = static_cast<double>(g.crop_h) / g.place_h;
  return {g.crop_x - g.place_x * sx, g.crop_y - g.place_y * sy, out_w * sx, out_h * sy};
}

PartRect draw_jitter(const Jitter& spec, const Frame& frame, Draws& draws) {
  const auto amount = static_cast<float>(spec.amount);
  const auto edge = [&](double side) { return side * draws.uniform(-amount, amount); };
  const double left = edge(frame.w), right = edge(frame.w);
  const double top = edge(frame.h), bottom = edge(frame.h);
  return rounded(frame.x + left, frame.y + top, frame.x + frame.w + right,
                 frame.y + frame.h + bottom);
}

PartRect draw_zoom(const Zoom& spec, const Frame& frame, Draws& draws) {
  // Log-uniform: as often larger as smaller.
  const float low = std::log(static_cast<float>(spec.scale[0]));
  const float high = std::log(static_cast<float>(spec.scale[1]));
  const double scale = std::exp(draws.uniform(low, high));
  const auto shift = static_cast<float>(spec.shift);
  const double w = frame.w / scale, h = frame.h / scale;
  const double cx = frame.x + frame.w * (0.5 + draws.uniform(-shift, shift));
  const double cy = frame.y + frame.h * (0.5 + draws.uniform(-shift, shift));
  return rounded(cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h);
}

bool view_geometry(const PartRect& part, int w, int h, int out_w, int out_h, FitGeometry& g) {
  return view_axis(part.x, part.w, w, out_w, g.crop_x, g.crop_w, g.place_x, g.place_w) &&
         view_axis(part.y, part.h, h, out_h, g.crop_y, g.crop_h, g.place_y, g.place_h);
}

}  // namespace daybreak
