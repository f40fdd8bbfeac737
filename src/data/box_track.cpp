#include "data/box_track.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daybreak {

void track(const std::vector<LabelBox>& boxes, int w, int h, TrackedBoxes& tracked) {
  for (const LabelBox& label : boxes) {
    const double cx = label.box.cx, cy = label.box.cy;
    const double half_w = 0.5 * label.box.w, half_h = 0.5 * label.box.h;
    tracked.push_back(
        {(cx - half_w) * w, (cy - half_h) * h, (cx + half_w) * w, (cy + half_h) * h, 1.0, label});
  }
}

void move_boxes(TrackedBoxes& tracked, double scale_x, double shift_x, double scale_y,
                double shift_y, std::size_t first) {
  for (std::size_t i = first; i < tracked.size(); ++i) {
    TrackedBox& box = tracked[i];
    box.x0 = box.x0 * scale_x + shift_x;
    box.x1 = box.x1 * scale_x + shift_x;
    box.y0 = box.y0 * scale_y + shift_y;
    box.y1 = box.y1 * scale_y + shift_y;
  }
}

void mirror_boxes(TrackedBoxes& tracked, int w, int h, bool vertical) {
  for (TrackedBox& box : tracked) {
    double& low = vertical ? box.y0 : box.x0;
    double& high = vertical ? box.y1 : box.x1;
    const double side = vertical ? h : w;
    const double mirrored = side - high;
    high = side - low;
    low = mirrored;
  }
}

void rotate_boxes(TrackedBoxes& tracked, double degrees, int w, int h) {
  const double angle = degrees * std::numbers::pi / 180.0;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  for (TrackedBox& box : tracked) {
    const double cx = 0.5 * (box.x0 + box.x1) - 0.5 * w;
    const double cy = 0.5 * (box.y0 + box.y1) - 0.5 * h;
    const double half_w = 0.5 * (box.x1 - box.x0), half_h = 0.5 * (box.y1 - box.y0);
    // Anticlockwise where y points down.
    const double x = cosine * cx + sine * cy + 0.5 * w;
    const double y = cosine * cy - sine * cx + 0.5 * h;
    const double reach_x = std::abs(cosine) * half_w + std::abs(sine) * half_h;
    const double reach_y = std::abs(sine) * half_w + std::abs(cosine) * half_h;
    box.x0 = x - reach_x;
    box.x1 = x + reach_x;
    box.y0 = y - reach_y;
    box.y1 = y + reach_y;
  }
}

void fit_boxes(TrackedBoxes& tracked, const FitGeometry& g, std::size_t first) {
  const double sx = static_cast<double>(g.place_w) / g.crop_w;
  const double sy = static_cast<double>(g.place_h) / g.crop_h;
  move_boxes(tracked, sx, g.place_x - g.crop_x * sx, sy, g.place_y - g.crop_y * sy, first);
  cut_boxes(tracked, g.place_x, g.place_y, g.place_x + g.place_w, g.place_y + g.place_h, first);
}

void cut_boxes(TrackedBoxes& tracked, double x0, double y0, double x1, double y1,
               std::size_t first) {
  for (std::size_t i = first; i < tracked.size(); ++i) {
    TrackedBox& box = tracked[i];
    const double before = (box.x1 - box.x0) * (box.y1 - box.y0);
    box.x0 = std::clamp(box.x0, x0, x1);
    box.x1 = std::clamp(box.x1, x0, x1);
    box.y0 = std::clamp(box.y0, y0, y1);
    box.y1 = std::clamp(box.y1, y0, y1);
    const double after = (box.x1 - box.x0) * (box.y1 - box.y0);
    box.kept *= before > 0 ? after / before : 0.0;
  }
}

void finish_boxes(const TrackedBoxes& tracked, int w, int h, double min_visible,
                  std::vector<LabelBox>& boxes) {
  boxes.clear();
  for (const TrackedBox& box : tracked) {
    const bool is_empty = box.x1 <= box.x0 || box.y1 <= box.y0;
    // A box that fits exactly may lose a rounding error.
    if (is_empty || box.kept < min_visible * (1 - 1e-9)) continue;
    LabelBox label = box.label;
    label.box.cx = static_cast<float>(0.5 * (box.x0 + box.x1) / w);
    label.box.cy = static_cast<float>(0.5 * (box.y0 + box.y1) / h);
    label.box.w = static_cast<float>((box.x1 - box.x0) / w);
    label.box.h = static_cast<float>((box.y1 - box.y0) / h);
    boxes.push_back(label);
  }
}

}  // namespace daybreak
