#include "detect/kept_grid.h"

#include <algorithm>
#include <cmath>

#include "core/multiarch.h"

namespace daybreak {
namespace {

constexpr double kMostCells = 48.0;          // along one side
constexpr std::size_t kFewCandidates = 400;  // one cell is quicker

// Cells half as large as a mean box, about as large as a shrunk one: smaller cells have shorter
// lists, but more of them are looked into.
int cells_along(float extent, double mean_size, std::size_t candidates) {
  if (candidates < kFewCandidates || !(extent > 0.0f)) return 1;
  const double size = std::max(mean_size / 2.0, double{extent} / kMostCells);
  return std::max(1, static_cast<int>(extent / size));
}

}  // namespace

void Extents::include(const Corners& box) {
  regular = regular && box.left <= box.right && box.top <= box.bottom && box.area >= 0.0f;
  around.left = std::min(around.left, box.left), around.right = std::max(around.right, box.right);
  around.top = std::min(around.top, box.top), around.bottom = std::max(around.bottom, box.bottom);
  width += box.right - box.left, height += box.bottom - box.top;
  ++count;
}

bool KeptGrid::reset(const Extents& extents, float threshold) {
  const Corners& around = extents.around;
  const float largest = std::max({std::fabs(around.left), std::fabs(around.right),
                                  std::fabs(around.top), std::fabs(around.bottom)});
  const bool multiplies = largest == 0.0f || (largest > 1e-10f && largest < 1e15f);
  if (!extents.regular || !multiplies) return false;
  const auto count = static_cast<double>(extents.count);
  const float width = around.right - around.left, height = around.bottom - around.top;
  columns_ = cells_along(width, extents.width / count, extents.count);
  rows_ = cells_along(height, extents.height / count, extents.count);
  origin_x_ = around.left, origin_y_ = around.top;
  scale_x_ = columns_ > 1 ? static_cast<float>(columns_) / width : 0.0f;
  scale_y_ = rows_ > 1 ? static_cast<float>(rows_) / height : 0.0f;
  limit_ = std::max(threshold - 1e-4f, 0.0f);
  inset_ = std::min(limit_ / (1.0f + limit_), 0.5f);
  slack_ = 4e-7f * largest;  // a corner is rounded once or twice: 2^-24 of it each time
  cells_.assign(cell(rows_, 0), kNone);
  blocks_.clear();
  blocks_.reserve(cells_.size() + extents.count / 4);  // touched only as far as it is used
  return true;
}

KeptGrid::Range KeptGrid::cells_of(const Corners& box) const {
  if (cells_.size() == 1) return {};
  const float cut_x = inset_ * (box.right - box.left) - slack_;
  const float cut_y = inset_ * (box.bottom - box.top) - slack_;
  // The same monotone rounding for all boxes: common points give common cells.
  const auto along = [](float place, float origin, float scale, int cells) {
    return std::clamp(static_cast<int>((place - origin) * scale), 0, cells - 1);
  };
  return {along(box.left + cut_x, origin_x_, scale_x_, columns_),
          along(box.right - cut_x, origin_x_, scale_x_, columns_),
          along(box.top + cut_y, origin_y_, scale_y_, rows_),
          along(box.bottom - cut_y, origin_y_, scale_y_, rows_)};
}

void KeptGrid::add_to_cell(std::uint32_t& first, const Corners& box, std::uint32_t index) {
  if (first == kNone || blocks_[first].used == kLanes) {
    Block& block = blocks_.emplace_back();
    block.left.fill(3e37f), block.top.fill(3e37f);
    block.right.fill(-3e37f), block.bottom.fill(-3e37f);
    block.area.fill(0.0f);
    block.next = first;
    first = static_cast<std::uint32_t>(blocks_.size() - 1);
  }
  Block& block = blocks_[first];
  const auto lane = static_cast<std::size_t>(block.used++);
  block.left[lane] = box.left - slack_, block.top[lane] = box.top - slack_;
  block.right[lane] = box.right, block.bottom[lane] = box.bottom;
  block.area[lane] = box.area, block.index[lane] = index;
}

void KeptGrid::add(const Corners& box, std::uint32_t index) {
  const Range range = cells_of(box);
  for (int row = range.first_row; row <= range.last_row; ++row) {
    for (int column = range.first_column; column <= range.last_column; ++column) {
      add_to_cell(cells_[cell(row, column)], box, index);
    }
  }
}

// The first block of a list, from `at` on, in which a box may overlap by more than `limit`; kNone
// when there is none. Intersection > limit * union without a division, the intersection enlarged by
// `slack`; `margins` are the differences of the two, for the block found.
DAYBREAK_MULTIARCH std::uint32_t KeptGrid::find_block(const Block* blocks, std::uint32_t at,
                                                      const Corners& box, float limit, float slack,
                                                      Margins& margins) {
  const float l = box.left - slack, r = box.right, t = box.top - slack, b = box.bottom;
  const float area = limit * box.area, more = 1.0f + limit;
  for (; at != kNone; at = blocks[at].next) {
    const Block& block = blocks[at];
    const float *kl = block.left.data(), *kt = block.top.data();
    const float *kr = block.right.data(), *kb = block.bottom.data(), *ka = block.area.data();
    float* each = margins.each.data();
    float most = -1.0f;
#pragma omp simd reduction(max : most)
    for (int i = 0; i < kLanes; ++i) {
      const float right = r < kr[i] ? r : kr[i], left = l > kl[i] ? l : kl[i];
      const float bottom = b < kb[i] ? b : kb[i], top = t > kt[i] ? t : kt[i];
      const float w = right - left > 0.0f ? right - left : 0.0f;
      const float h = bottom - top > 0.0f ? bottom - top : 0.0f;
      each[i] = more * (w * h) - limit * ka[i] - area;
      most = each[i] > most ? each[i] : most;
    }
    margins.most = most;
    if (most > 0.0f) return at;
  }
  return kNone;
}

}  // namespace daybreak
