#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/box.h"

namespace daybreak {

/// A box by its corners, in float.
struct Corners {
  float left = 0, top = 0, right = 0, bottom = 0;
  float area = 0;
};

/// What a grid must know of its boxes beforehand.
struct Extents {
  Corners around{std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(),
                 -std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  double width = 0, height = 0;  ///< sums over the boxes
  std::size_t count = 0;
  bool regular = true;  ///< no NaN, no negative size

  void include(const Corners& box);
};

/// The boxes that non-maximum suppression has kept so far, found again by place. Two intervals with
/// an IoU above T have centres closer than (1 - T) / (1 + T) times half the sum of their lengths;
/// so boxes that overlap enough still touch when both are shrunk around their centres by that
/// factor. The plane is cut into cells, a kept box is listed in the cells its shrunk box touches, a
/// candidate looks into those its own touches. There overlaps are found in float, 16 at a time, and
/// never missed: rounding only adds some that are not.
class KeptGrid {
 public:
  static Corners corners_of(const Box& box) {
    return {box.cx - box.w / 2, box.cy - box.h / 2, box.cx + box.w / 2, box.cy + box.h / 2,
            box.w * box.h};
  }

  /// Forgets all boxes. False when float cannot tell about boxes of these extents: numbers that are
  /// not finite, too large or too small to multiply; negative sizes.
  bool reset(const Extents& extents, float threshold);

  /// `index` is what `any_close` hands on.
  void add(const Corners& box, std::uint32_t index);

  /// Whether a kept box overlaps `box` too much. With `by_iou` that is an IoU above the threshold:
  /// `decides(index)` is asked only where float cannot tell. Without, it is asked about every kept
  /// box whose IoU may be above, until it says true.
  template <typename Decides>
  bool any_close(const Corners& box, bool by_iou, Decides decides) const;

 private:
  static constexpr int kLanes = 16;
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  /// Kept boxes of one cell, 16 to a block; unused places overlap nothing. Left and top are less by
  /// the slack.
  struct alignas(64) Block {
    std::array<float, kLanes> left, top, right, bottom, area;
    std::array<std::uint32_t, kLanes> index;
    std::uint32_t next = kNone;
    int used = 0;
  };
  struct Range {
    int first_column = 0, last_column = 0, first_row = 0, last_row = 0;
  };

  Range cells_of(const Corners& box) const;
  std::size_t cell(int row, int column) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }
  void add_to_cell(std::uint32_t& first, const Corners& box, std::uint32_t index);
  /// A margin above this is none of rounding, slack or the lowered threshold. The other box's area
  /// is at most this one's by the threshold.
  float sure_margin(const Corners& box) const {
    if (!(limit_ > 0.01f)) return std::numeric_limits<float>::infinity();
    return 4.0f * slack_ * (box.right - box.left + box.bottom - box.top + 4.0f * slack_) +
           4e-4f * box.area * (1.0f + 1.0f / limit_);
  }
  /// Differences between what is common and what may be, of the boxes of one block.
  struct alignas(64) Margins {
    std::array<float, kLanes> each;
    float most;
  };
  static std::uint32_t find_block(const Block* blocks, std::uint32_t at, const Corners& box,
                                  float limit, float slack, Margins& margins);

  int columns_ = 1, rows_ = 1;
  float origin_x_ = 0, origin_y_ = 0, scale_x_ = 0, scale_y_ = 0;
  float limit_ = 0;                   ///< a little below the threshold
  float inset_ = 0;                   ///< what shrinking takes from each side, by the box's size
  float slack_ = 0;                   ///< more than rounding can take from an extent
  std::vector<std::uint32_t> cells_;  ///< the first block of each, row by row
  std::vector<Block> blocks_;
};

template <typename Decides>
bool KeptGrid::any_close(const Corners& box, bool by_iou, Decides decides) const {
  const Range range = cells_of(box);
  const float sure = by_iou ? sure_margin(box) : std::numeric_limits<float>::infinity();
  Margins margins;
  for (int row = range.first_row; row <= range.last_row; ++row) {
    for (int column = range.first_column; column <= range.last_column; ++column) {
      std::uint32_t at = cells_[cell(row, column)];
      while ((at = find_block(blocks_.data(), at, box, limit_, slack_, margins)) != kNone) {
        if (margins.most > sure) return true;
        const Block& block = blocks_[at];
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          if (margins.each[lane] > 0.0f && decides(block.index[lane])) return true;
        }
        at = block.next;
      }
    }
  }
  return false;
}

}  // namespace daybreak
