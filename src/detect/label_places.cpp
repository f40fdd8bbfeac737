#include "detect/label_places.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace daybreak {
namespace {

constexpr int kLinesAway = 4;

std::int64_t common_area(const PixelRect& a, const PixelRect& b) {
  const int w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x);
  const int h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
  return w > 0 && h > 0 ? std::int64_t{w} * h : 0;
}

// Best first; some reach out of the picture.
std::vector<PixelRect> wanted_places(const FrameLabel& label) {
  const PixelRect& f = label.frame;
  const int w = label.w, h = label.h;
  const int left = f.x, right = f.x + f.w - w, top = f.y, bottom = f.y + f.h;
  std::vector<PixelRect> places;
  for (const int y : {top - h, top, bottom, bottom - h}) {
    places.push_back({left, y, w, h});
    places.push_back({right, y, w, h});
  }
  places.push_back({f.x + f.w, top, w, h});
  places.push_back({f.x - w, top, w, h});
  for (int lines = 1; lines <= kLinesAway; ++lines) {
    for (const int y : {top - h - lines * h, top + lines * h, bottom + lines * h}) {
      places.push_back({left, y, w, h});
      places.push_back({right, y, w, h});
    }
  }
  return places;
}

PixelRect place_label(const FrameLabel& label, const std::vector<PixelRect>& placed, int width,
                      int height) {
  PixelRect best{std::clamp(label.frame.x, 0, std::max(0, width - label.w)), 0, label.w, label.h};
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (PixelRect place : wanted_places(label)) {
    if (place.y < 0 || place.y + place.h > height) continue;
    place.x = std::clamp(place.x, 0, std::max(0, width - place.w));
    std::int64_t hidden = 0;
    for (const PixelRect& other : placed) hidden += common_area(place, other);
    if (hidden >= least) continue;
    best = place, least = hidden;
    if (hidden == 0) break;
  }
  return best;
}

}  // namespace

std::vector<PixelRect> place_labels(const std::vector<FrameLabel>& labels, int width, int height) {
  std::vector<PixelRect> places(labels.size()), placed;
  for (std::size_t i = labels.size(); i-- > 0;) {
    if (labels[i].w <= 0 || labels[i].h <= 0) continue;
    places[i] = place_label(labels[i], placed, width, height);
    placed.push_back(places[i]);
  }
  return places;
}

}  // namespace daybreak
