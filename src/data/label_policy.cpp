#include "data/label_policy.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/bytes.h"
#include "data/limits.h"

namespace daybreak {
namespace {

constexpr std::size_t kMostListed = 1000;

}  // namespace

void LabelPolicy::bad(const std::string& place, const std::string& text) {
  if (on_bad_ == OnError::error) {
    throw DataError(place, text + "; set \"data.on_bad_label: skip\" to leave such boxes out");
  }
  ++count_;
  if (listed_.size() < kMostListed) listed_.push_back({place, text});
}

void LabelPolicy::unknown_class(const std::string& place, const std::string& found,
                                const std::vector<std::string>& classes) {
  constexpr std::size_t kShown = 12;
  std::string names;
  for (std::size_t i = 0; i < classes.size() && i < kShown; ++i) {
    names += fmt::format("{}{} {}", i == 0 ? "" : ", ", i, printable(classes[i]));
  }
  if (classes.size() > kShown) names += ", ...";
  bad(place, fmt::format("unknown class {}; there are {}", found, names));
}

bool LabelPolicy::make_box(const Corners& c, double w, double h, double slack,
                           const std::string& place, Box& box) {
  const auto text = [&] {
    return fmt::format("[{}, {}, {}, {}] (left, top, right, bottom)", c.x0, c.y0, c.x1, c.y1);
  };
  if (!std::isfinite(c.x0 + c.y0 + c.x1 + c.y1)) {
    bad(place, "box " + text() + " is not finite");
    return false;
  }
  if (c.x1 < c.x0 || c.y1 < c.y0) {
    bad(place, "box " + text() + " has a negative size");
    return false;
  }
  if (c.x0 < -slack || c.y0 < -slack || c.x1 > w + slack || c.y1 > h + slack) {
    bad(place, fmt::format("box {} is outside the picture of {} x {}", text(), w, h));
    return false;
  }
  const Corners cut{std::clamp(c.x0, 0.0, w), std::clamp(c.y0, 0.0, h), std::clamp(c.x1, 0.0, w),
                    std::clamp(c.y1, 0.0, h)};
  if (cut.x1 <= cut.x0 || cut.y1 <= cut.y0) {
    ++empty;
    return false;
  }
  // Sums like 0.9 + 0.1 may be a rounding error above 1: nothing to tell.
  const double moved = std::max({cut.x0 - c.x0, cut.y0 - c.y0, c.x1 - cut.x1, c.y1 - cut.y1});
  if (moved > 1e-6 * std::max(w, h)) ++clipped;
  box.cx = static_cast<float>(0.5 * (cut.x0 + cut.x1) / w);
  box.cy = static_cast<float>(0.5 * (cut.y0 + cut.y1) / h);
  box.w = static_cast<float>((cut.x1 - cut.x0) / w);
  box.h = static_cast<float>((cut.y1 - cut.y0) / h);
  return true;
}

void LabelPolicy::check_count(std::size_t boxes, const std::string& place) {
  if (boxes <= limits::kMaxBoxes) return;
  throw DataError(place, fmt::format("more than {} boxes in one picture", limits::kMaxBoxes));
}

void LabelPolicy::log(const std::string& where) const {
  std::string text;
  const auto add = [&](std::int64_t count, const char* what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(background, "pictures without a box");
  add(clipped, "boxes cut at the picture's edge by rounding");
  add(empty, "empty boxes dropped");
  add(duplicates, "repeated boxes dropped");
  if (!text.empty()) spdlog::info("data: {}: {}", where, text);
}

void LabelPolicy::move_to(DataParts& parts) {
  parts.bad_labels = std::move(listed_);
  parts.bad_label_count = count_;
  listed_.clear();
}

}  // namespace daybreak
