#include <algorithm>
#include <cmath>
#include <vector>

#include "detect/decode.h"
#include "ops/ssd_loss.h"

namespace daybreak {
namespace {

// Softmax of the background's and the classes' scores, `stride` apart.
void class_probabilities(const float* scores, std::int64_t stride, std::vector<float>& result) {
  float most = scores[0], sum = 0.0f;
  for (std::size_t c = 0; c < result.size(); ++c) {
    most = std::max(most, scores[static_cast<std::int64_t>(c) * stride]);
  }
  for (std::size_t c = 0; c < result.size(); ++c) {
    result[c] = std::exp(scores[static_cast<std::int64_t>(c) * stride] - most);
    sum += result[c];
  }
  for (float& value : result) value /= sum;
}

// The way of ssd_offsets back.
Box decode_box(const SsdPlace& prior, const float* x) {
  const std::int64_t s = prior.stride;
  Box box;
  box.cx = static_cast<float>(prior.cx + x[0] * kSsdCentreVariance * prior.w);
  box.cy = static_cast<float>(prior.cy + x[s] * kSsdCentreVariance * prior.h);
  box.w = static_cast<float>(prior.w * std::exp(x[2 * s] * kSsdSizeVariance));
  box.h = static_cast<float>(prior.h * std::exp(x[3 * s] * kSsdSizeVariance));
  return box;
}

}  // namespace

void decode_ssd(const DetectionHead& head, const HeadMap& map, const float* raw, float threshold,
                std::vector<Detection>& out) {
  SsdLoss op;
  op.classes = head.classes;
  op.maps = {{head.anchors, head.cells_x, head.cells_y}};
  const int channels = static_cast<int>(head.anchors.size()) * (5 + head.classes);
  const Shape shape{1, channels, map.height, map.width};
  std::vector<float> probabilities(static_cast<std::size_t>(head.classes) + 1);
  for (const SsdPlace& place : ssd_places(op, std::span(&shape, 1))) {
    const float* x = raw + place.offset;
    class_probabilities(x + 4 * place.stride, place.stride, probabilities);
    Detection found;
    found.box = decode_box(place, x);
    if (!std::isfinite(found.box.w) || !std::isfinite(found.box.h)) continue;
    for (int c = 0; c < head.classes; ++c) {
      found.category = c;
      found.score = probabilities[static_cast<std::size_t>(c) + 1];
      if (found.score > threshold) out.push_back(found);
    }
  }
}

}  // namespace daybreak
