#include "detect/average_precision.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace daybreak {
namespace {

constexpr int kThresholds = 10;
constexpr std::size_t kMostDetections = 100;
constexpr std::array<std::size_t, 3> kLimits = {1, 10, kMostDetections};

// The grid that COCO's evaluation computes: 0.5 + k * ((0.95 - 0.5) / 9), and 0.95 itself.
double threshold(int k) {
  return k == kThresholds - 1 ? 0.95 : k * ((0.95 - 0.5) / 9) + 0.5;
}

double intersection(const PixelBox& a, const PixelBox& b) {
  const double w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x);
  const double h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0.0;
}

// Against a crowd, what matters is the share of the detection inside.
double overlap(const PixelBox& found, const PixelBox& truth, bool crowd) {
  const double common = intersection(found, truth);
  const double all = found.w * found.h + (crowd ? 0.0 : truth.w * truth.h - common);
  return all > 0 ? common / all : 0.0;
}

struct AreaRange {
  double low, high;
  bool contains(double area) const { return area >= low && area <= high; }
};
constexpr std::array<AreaRange, 4> kRanges = {
    {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};

double area_of(const TruthBox& truth) {
  return truth.area > 0 ? truth.area : truth.box.w * truth.box.h;
}

enum class Verdict : std::uint8_t { wrong, right, neither };

// What becomes of each detection of a picture, at each threshold: [threshold][detection].
struct Matches {
  std::array<std::vector<Verdict>, kThresholds> verdicts;
  std::int64_t truths = 0;  // that count
};

/// Matches the detections of one picture and class for one area range.
class PictureMatcher {
 public:
  PictureMatcher(const std::vector<TruthBox>& truths, const std::vector<FoundBox>& found,
                 const AreaRange& range)
      : found_(found), range_(range) {
    // Those that count come first, each kind in its order.
    for (const bool ignored : {false, true}) {
      for (const TruthBox& truth : truths) {
        if ((truth.crowd || !range.contains(area_of(truth))) == ignored) truths_.push_back(&truth);
      }
      if (!ignored) counting_ = truths_.size();
    }
    overlaps_.reserve(found.size() * truths_.size());
    for (const FoundBox& box : found) {
      for (const TruthBox* truth : truths_) {
        overlaps_.push_back(overlap(box.box, truth->box, truth->crowd));
      }
    }
  }

  Matches match() const {
    Matches matches;
    matches.truths = static_cast<std::int64_t>(counting_);
    for (int k = 0; k < kThresholds; ++k) {
      std::vector<bool> taken(truths_.size());
      std::vector<Verdict>& verdicts = matches.verdicts[static_cast<std::size_t>(k)];
      for (std::size_t d = 0; d < found_.size(); ++d) {
        const std::size_t truth = best_truth(d, std::min(threshold(k), 1 - 1e-10), taken);
        if (truth == truths_.size()) {
          const double area = found_[d].box.w * found_[d].box.h;
          verdicts.push_back(range_.contains(area) ? Verdict::wrong : Verdict::neither);
          continue;
        }
        taken[truth] = true;
        verdicts.push_back(truth < counting_ ? Verdict::right : Verdict::neither);
      }
    }
    return matches;
  }

 private:
  // The truth that a detection takes; truths_.size() for none.
  std::size_t best_truth(std::size_t d, double least, const std::vector<bool>& taken) const {
    std::size_t best = truths_.size();
    for (std::size_t t = 0; t < truths_.size(); ++t) {
      if (taken[t] && !truths_[t]->crowd) continue;
      // One that counts is never given up for one that does not.
      if (best < counting_ && t >= counting_) break;
      const double value = overlaps_[d * truths_.size() + t];
      if (value < least) continue;
      least = value;
      best = t;
    }
    return best;
  }

  const std::vector<FoundBox>& found_;
  AreaRange range_;
  std::vector<const TruthBox*> truths_;
  std::size_t counting_ = 0;
  std::vector<double> overlaps_;  // [detection][truth]
};

// A detection's verdict and score, over all pictures.
struct Judged {
  double score;
  Verdict verdict;
};

struct Curve {
  std::array<double, kRecallPoints> precision{};
  double recall = 0.0;  // of all detections
};

// Precision at the 101 recalls.
Curve curve_of(std::vector<Judged>& judged, std::int64_t truths) {
  std::stable_sort(judged.begin(), judged.end(),
                   [](const Judged& a, const Judged& b) { return a.score > b.score; });
  std::vector<double> recalls, precisions;
  double right = 0, wrong = 0;
  for (const Judged& one : judged) {
    right += one.verdict == Verdict::right;
    wrong += one.verdict == Verdict::wrong;
    recalls.push_back(right / static_cast<double>(truths));
    precisions.push_back(right / (right + wrong + std::numeric_limits<double>::epsilon()));
  }
  for (std::size_t i = precisions.size(); i > 1; --i) {
    precisions[i - 2] = std::max(precisions[i - 2], precisions[i - 1]);
  }
  Curve curve;
  curve.recall = recalls.empty() ? 0.0 : recalls.back();
  for (int k = 0; k < kRecallPoints; ++k) {
    const double wanted = k == kRecallPoints - 1 ? 1.0 : k * 0.01;
    const auto at = std::lower_bound(recalls.begin(), recalls.end(), wanted);
    if (at == recalls.end()) break;
    curve.precision[static_cast<std::size_t>(k)] =
        precisions[static_cast<std::size_t>(at - recalls.begin())];
  }
  return curve;
}

double mean_of(const std::array<double, kRecallPoints>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / kRecallPoints;
}

// The figures of one class in one area range; -1 without truths.
struct RangeResult {
  std::int64_t truths = 0;
  double ap = -1.0;
  std::array<double, kThresholds> ap_at{};
  std::array<double, kLimits.size()> recall{};  // mean over the thresholds
  std::array<double, kRecallPoints> curve50{};
};

// Detections over all pictures at a threshold, at most `limit` from each.
template <typename Pictures>
std::vector<Judged> judged_at(const Pictures& pictures, const std::vector<Matches>& matches,
                              std::size_t k, std::size_t limit) {
  std::vector<Judged> judged;
  for (std::size_t p = 0; p < pictures.size(); ++p) {
    const auto& found = pictures[p].found;
    const std::vector<Verdict>& verdicts = matches[p].verdicts[k];
    for (std::size_t d = 0; d < std::min(found.size(), limit); ++d) {
      judged.push_back({found[d].score, verdicts[d]});
    }
  }
  return judged;
}

template <typename Pictures>
RangeResult evaluate(const Pictures& pictures, const AreaRange& range) {
  RangeResult result;
  std::vector<Matches> matches;
  for (const auto& picture : pictures) {
    matches.push_back(PictureMatcher(picture.truths, picture.found, range).match());
    result.truths += matches.back().truths;
  }
  if (result.truths == 0) return result;
  result.ap = 0.0;
  for (std::size_t k = 0; k < kThresholds; ++k) {
    for (std::size_t limit = 0; limit < kLimits.size(); ++limit) {
      std::vector<Judged> judged = judged_at(pictures, matches, k, kLimits[limit]);
      const Curve curve = curve_of(judged, result.truths);
      result.recall[limit] += curve.recall / kThresholds;
      if (limit + 1 < kLimits.size()) continue;
      result.ap_at[k] = mean_of(curve.precision);
      result.ap += result.ap_at[k] / kThresholds;
      if (k == 0) result.curve50 = curve.precision;
    }
  }
  return result;
}

// ---- VOC ----------------------------------------------------------------------------------------

// Running counts along the detections, best first.
struct VocCounts {
  std::vector<std::int64_t> right, wrong;
  std::int64_t truths = 0;
};

double all_points(const VocCounts& counts) {
  double area = 0.0, envelope = 0.0, recall_after = 0.0;
  for (std::size_t i = counts.right.size(); i > 0; --i) {
    const auto right = static_cast<double>(counts.right[i - 1]);
    const double recall = right / static_cast<double>(counts.truths);
    if (i < counts.right.size()) area += (recall_after - recall) * envelope;
    const double all = right + static_cast<double>(counts.wrong[i - 1]);
    if (all > 0) envelope = std::max(envelope, right / all);
    recall_after = recall;
  }
  return area + recall_after * envelope;
}

double eleven_points(const VocCounts& counts) {
  double sum = 0.0;
  for (std::int64_t k = 0; k <= 10; ++k) {
    double best = 0.0;
    for (std::size_t i = 0; i < counts.right.size(); ++i) {
      const double all = static_cast<double>(counts.right[i] + counts.wrong[i]);
      if (counts.right[i] * 10 < k * counts.truths || all == 0) continue;
      best = std::max(best, static_cast<double>(counts.right[i]) / all);
    }
    sum += best;
  }
  return sum / 11;
}

// The verdicts on one picture's detections.
template <typename Picture>
void judge_voc(const Picture& picture, double least, std::vector<Judged>& judged) {
  std::vector<bool> taken(picture.truths.size());
  for (const FoundBox& found : picture.found) {
    double best = 0.0;
    std::size_t truth = picture.truths.size();
    for (std::size_t t = 0; t < picture.truths.size(); ++t) {
      const double value = overlap(found.box, picture.truths[t].box, false);
      if (value <= best) continue;
      best = value;
      truth = t;
    }
    Verdict verdict = Verdict::wrong;
    if (truth < picture.truths.size() && best > least) {
      const TruthBox& box = picture.truths[truth];
      if (box.difficult || box.crowd) {
        verdict = Verdict::neither;
      } else if (!taken[truth]) {
        verdict = Verdict::right;
        taken[truth] = true;
      }
    }
    judged.push_back({found.score, verdict});
  }
}

}  // namespace

double mean_of_known(const std::vector<double>& values) {
  double sum = 0.0;
  int count = 0;
  for (const double value : values) {
    if (value == -1.0) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : -1.0;
}

AveragePrecision::AveragePrecision(int classes) : classes_(static_cast<std::size_t>(classes)) {}

void AveragePrecision::add(const std::vector<TruthBox>& truths,
                           const std::vector<FoundBox>& found) {
  ++pictures_;
  std::vector<Picture> pictures(classes_.size());
  const auto at = [&](int category) -> Picture& {
    DAYBREAK_ASSERT(category >= 0 && static_cast<std::size_t>(category) < classes_.size());
    return pictures[static_cast<std::size_t>(category)];
  };
  for (const TruthBox& truth : truths) at(truth.category).truths.push_back(truth);
  for (const FoundBox& box : found) at(box.category).found.push_back(box);
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    Picture& picture = pictures[c];
    if (picture.truths.empty() && picture.found.empty()) continue;
    std::stable_sort(picture.found.begin(), picture.found.end(),
                     [](const FoundBox& a, const FoundBox& b) { return a.score > b.score; });
    classes_[c].detections +=
        static_cast<std::int64_t>(std::min(picture.found.size(), kMostDetections));
    classes_[c].pictures.push_back(std::move(picture));
  }
}

DetectionMetrics AveragePrecision::coco() const {
  DetectionMetrics metrics;
  metrics.pictures = pictures_;
  std::vector<double> map50, map75, ar1, ar10, ar100;
  std::array<std::vector<double>, kRanges.size()> by_range;
  for (const Class& one : classes_) {
    std::vector<Picture> pictures = one.pictures;
    for (Picture& picture : pictures) {
      if (picture.found.size() > kMostDetections) picture.found.resize(kMostDetections);
    }
    ClassPrecision result;
    result.detections = one.detections;
    for (std::size_t r = 0; r < kRanges.size(); ++r) {
      const RangeResult range = evaluate(pictures, kRanges[r]);
      by_range[r].push_back(range.ap);
      if (r > 0 || range.truths == 0) continue;
      result.truths = range.truths;
      result.ap = range.ap;
      result.ap50 = range.ap_at[0];
      result.curve = range.curve50;
      map50.push_back(range.ap_at[0]);
      map75.push_back(range.ap_at[5]);
      ar1.push_back(range.recall[0]);
      ar10.push_back(range.recall[1]);
      ar100.push_back(range.recall[2]);
    }
    metrics.classes.push_back(result);
  }
  metrics.map = mean_of_known(by_range[0]);
  metrics.map50 = mean_of_known(map50);
  metrics.map75 = mean_of_known(map75);
  metrics.map_small = mean_of_known(by_range[1]);
  metrics.map_medium = mean_of_known(by_range[2]);
  metrics.map_large = mean_of_known(by_range[3]);
  metrics.ar1 = mean_of_known(ar1);
  metrics.ar10 = mean_of_known(ar10);
  metrics.ar100 = mean_of_known(ar100);
  return metrics;
}

std::vector<double> AveragePrecision::voc(VocCurve curve, double least) const {
  std::vector<double> result;
  for (const Class& one : classes_) {
    VocCounts counts;
    std::vector<Judged> judged;
    for (const Picture& picture : one.pictures) {
      for (const TruthBox& truth : picture.truths) {
        counts.truths += !truth.difficult && !truth.crowd;
      }
      judge_voc(picture, least, judged);
    }
    std::stable_sort(judged.begin(), judged.end(),
                     [](const Judged& a, const Judged& b) { return a.score > b.score; });
    std::int64_t right = 0, wrong = 0;
    for (const Judged& each : judged) {
      right += each.verdict == Verdict::right;
      wrong += each.verdict == Verdict::wrong;
      counts.right.push_back(right);
      counts.wrong.push_back(wrong);
    }
    if (counts.truths == 0) {
      result.push_back(-1.0);
    } else {
      result.push_back(curve == VocCurve::all_points ? all_points(counts) : eleven_points(counts));
    }
  }
  return result;
}

}  // namespace daybreak
