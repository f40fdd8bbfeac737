#include "detect/decode.h"

#include <algorithm>
#include <cmath>

namespace daybreak {
namespace {

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

/// The raw number whose sigmoid is p; -inf, inf for what no number or every number passes.
float logit(float p) {
  if (p <= 0.0f) return -INFINITY;
  if (p >= 1.0f) return INFINITY;
  return std::log(p / (1.0f - p));
}

/// The numbers of one anchor in one cell: `at(e)` is entry e of tx, ty, tw, th, objectness,
/// classes.
struct CellReader {
  const float* first = nullptr;
  std::int64_t stride = 0;
  float at(int entry) const { return first[entry * stride]; }
};

class HeadDecoder {
 public:
  HeadDecoder(const DetectionHead& head, const HeadMap& map, float threshold,
              std::vector<Detection>& out)
      : head_(head), map_(map), threshold_(threshold), out_(out) {
    // Objectness alone must be above the threshold: most cells are done with one comparison.
    least_ = head.new_coords ? threshold : logit(threshold) - 1e-3f;
  }

  void run(const float* raw) {
    const std::int64_t cells = std::int64_t{map_.height} * map_.width;
    for (std::size_t m = 0; m < head_.mask.size(); ++m) {
      const float* plane = raw + static_cast<std::int64_t>(m) * (5 + head_.classes) * cells;
      const float* objectness = plane + 4 * cells;
      for (std::int64_t cell = 0; cell < cells; ++cell) {
        if (!(objectness[cell] > least_)) continue;
        decode({plane + cell, cells}, head_.anchors[head_.mask[m]],
               static_cast<int>(cell / map_.width), static_cast<int>(cell % map_.width));
      }
    }
  }

 private:
  float squashed(float value) const { return head_.new_coords ? value : sigmoid(value); }

  Box box_of(const CellReader& cell, const std::array<float, 2>& anchor, int row,
             int column) const {
    const float stretch = head_.scale_x_y, shift = (stretch - 1.0f) / 2.0f;
    Box box;
    box.cx = (static_cast<float>(column) + squashed(cell.at(0)) * stretch - shift) /
             static_cast<float>(map_.width);
    box.cy = (static_cast<float>(row) + squashed(cell.at(1)) * stretch - shift) /
             static_cast<float>(map_.height);
    const bool region = head_.kind == HeadKind::region;
    const auto scale = [&](float value) {
      return head_.new_coords ? 4.0f * value * value : std::exp(value);
    };
    const int unit_w = region ? map_.width : map_.input_width;
    const int unit_h = region ? map_.height : map_.input_height;
    box.w = scale(cell.at(2)) * anchor[0] / static_cast<float>(unit_w);
    box.h = scale(cell.at(3)) * anchor[1] / static_cast<float>(unit_h);
    return box;
  }

  void decode(const CellReader& cell, const std::array<float, 2>& anchor, int row, int column) {
    const float objectness = squashed(cell.at(4));
    if (!(objectness > threshold_)) return;
    const Box box = box_of(cell, anchor, row, column);
    if (!std::isfinite(box.cx + box.cy + box.w + box.h)) return;
    const bool softmax = head_.kind == HeadKind::region && head_.softmax;
    float largest = 0.0f;
    double sum = 1.0;
    if (softmax) {
      largest = cell.at(5);
      for (int c = 1; c < head_.classes; ++c) largest = std::max(largest, cell.at(5 + c));
      sum = 0.0;
      for (int c = 0; c < head_.classes; ++c) sum += std::exp(cell.at(5 + c) - largest);
    }
    for (int c = 0; c < head_.classes; ++c) {
      const float value = cell.at(5 + c);
      const float probability =
          softmax ? static_cast<float>(std::exp(value - largest) / sum) : squashed(value);
      const float score = objectness * probability;
      if (score > threshold_) out_.push_back({box, c, score});
    }
  }

  const DetectionHead& head_;
  const HeadMap& map_;
  float threshold_;
  float least_ = 0.0f;
  std::vector<Detection>& out_;
};

}  // namespace

void decode_head(const DetectionHead& head, const HeadMap& map, const float* raw, float threshold,
                 std::vector<Detection>& out) {
  if (head.kind == HeadKind::ssd) return decode_ssd(head, map, raw, threshold, out);
  HeadDecoder(head, map, threshold, out).run(raw);
}

}  // namespace daybreak
