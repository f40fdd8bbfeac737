#include "detect/anchor_kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/philox.h"

namespace daybreak {
namespace {

constexpr std::size_t kMostShapes = 50'000;
constexpr int kStarts = 10;
constexpr int kMostRounds = 300;

struct Nearest {
  std::size_t anchor = 0;
  double iou = 0.0;
};

// The first of equally good anchors.
Nearest nearest(const BoxShape& shape, const std::vector<BoxShape>& anchors) {
  Nearest best;
  for (std::size_t k = 0; k < anchors.size(); ++k) {
    const double iou = shape_iou(shape, anchors[k]);
    if (iou > best.iou) best = {k, iou};
  }
  return best;
}

// Each next anchor is a shape drawn with a chance that grows with the squared distance to those
// there are.
std::vector<BoxShape> draw_start(const std::vector<BoxShape>& shapes, int count, Draws draws) {
  const auto first = draws.below(static_cast<std::uint32_t>(shapes.size()));
  std::vector<BoxShape> anchors = {shapes[first]};
  std::vector<double> sums(shapes.size());
  while (anchors.size() < static_cast<std::size_t>(count)) {
    double sum = 0.0;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const double distance = 1.0 - nearest(shapes[i], anchors).iou;
      sums[i] = sum += distance * distance;
    }
    const double at = sum * draws.uniform();
    const auto chosen = std::upper_bound(sums.begin(), sums.end(), at) - sums.begin();
    anchors.push_back(
        shapes[std::min<std::size_t>(static_cast<std::size_t>(chosen), shapes.size() - 1)]);
  }
  return anchors;
}

// The shape that its anchor serves worst.
std::size_t worst_served(const std::vector<BoxShape>& shapes,
                         const std::vector<BoxShape>& anchors) {
  std::size_t worst = 0;
  double least = 2.0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const double iou = nearest(shapes[i], anchors).iou;
    if (iou < least) {
      least = iou;
      worst = i;
    }
  }
  return worst;
}

std::vector<BoxShape> refine(const std::vector<BoxShape>& shapes, std::vector<BoxShape> anchors) {
  std::vector<std::size_t> assigned(shapes.size(), anchors.size());
  for (int round = 0; round < kMostRounds; ++round) {
    bool changed = false;
    std::vector<BoxShape> sums(anchors.size());
    std::vector<std::int64_t> counts(anchors.size());
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const std::size_t k = nearest(shapes[i], anchors).anchor;
      changed |= k != assigned[i];
      assigned[i] = k;
      sums[k][0] += shapes[i][0];
      sums[k][1] += shapes[i][1];
      ++counts[k];
    }
    if (!changed) break;
    for (std::size_t k = 0; k < anchors.size(); ++k) {
      const auto n = static_cast<double>(counts[k]);
      anchors[k] = counts[k] > 0 ? BoxShape{sums[k][0] / n, sums[k][1] / n}
                                 : shapes[worst_served(shapes, anchors)];
    }
  }
  return anchors;
}

AnchorClusters judge(const std::vector<BoxShape>& shapes, std::vector<BoxShape> anchors) {
  AnchorClusters result;
  result.anchors = std::move(anchors);
  result.counts.resize(result.anchors.size());
  result.worst_iou = 1.0;
  double sum = 0.0;
  for (const BoxShape& shape : shapes) {
    const Nearest best = nearest(shape, result.anchors);
    ++result.counts[best.anchor];
    sum += best.iou;
    result.worst_iou = std::min(result.worst_iou, best.iou);
  }
  result.mean_iou = sum / static_cast<double>(shapes.size());
  return result;
}

}  // namespace

double shape_iou(const BoxShape& a, const BoxShape& b) {
  const double common = std::min(a[0], b[0]) * std::min(a[1], b[1]);
  const double all = a[0] * a[1] + b[0] * b[1] - common;
  return all > 0 ? common / all : 0.0;
}

AnchorClusters cluster_anchors(const std::vector<BoxShape>& shapes, int count, std::uint64_t seed) {
  DAYBREAK_ASSERT(count >= 1);
  const std::set<BoxShape> different(shapes.begin(), shapes.end());
  if (different.size() < static_cast<std::size_t>(count)) {
    throw DataError("daybreak", fmt::format("{} anchors cannot be found among {} different shapes "
                                            "of boxes",
                                            count, different.size()));
  }
  std::vector<BoxShape> some;
  const std::size_t used = std::min(shapes.size(), kMostShapes);
  for (std::size_t i = 0; i < used; ++i) some.push_back(shapes[i * shapes.size() / used]);
  AnchorClusters best;
  for (int start = 0; start < kStarts; ++start) {
    const Draws draws(seed, Purpose::anchors, static_cast<std::uint64_t>(start), 0);
    AnchorClusters found = judge(some, refine(some, draw_start(some, count, draws)));
    if (found.mean_iou > best.mean_iou) best = std::move(found);
  }
  std::sort(best.anchors.begin(), best.anchors.end(), [](const BoxShape& a, const BoxShape& b) {
    return a[0] * a[1] < b[0] * b[1] || (a[0] * a[1] == b[0] * b[1] && a < b);
  });
  return judge(shapes, best.anchors);
}

}  // namespace daybreak
