#include "report/classification_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/table.h"
#include "report/text.h"

namespace daybreak {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

// Heap order: the sample that is least worth keeping comes first. Of equal losses the earlier is
// kept.
bool worse(const WrongSample& a, const WrongSample& b) {
  if (a.loss != b.loss) return a.loss > b.loss;
  return a.index < b.index;
}

// What one row of logits says.
struct Row {
  double log_sum = 0.0;  // log of the sum of exp(logit)
  int best = 0;
  bool finite = true;
};

Row read_row(const float* logits, int classes) {
  Row row;
  for (int c = 0; c < classes; ++c) {
    if (!std::isfinite(logits[c])) row.finite = false;
    if (logits[c] > logits[row.best] || std::isnan(logits[row.best])) row.best = c;
  }
  const double top = logits[row.best];
  double sum = 0.0;
  for (int c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(logits[c]) - top);
  row.log_sum = top + std::log(sum);
  return row;
}

int rank_of(const float* logits, int classes, int label) {
  int rank = 0;
  for (int c = 0; c < classes; ++c) {
    if (logits[c] > logits[label] || (logits[c] == logits[label] && c < label)) ++rank;
  }
  return rank;
}

}  // namespace

ClassificationMetrics::ClassificationMetrics(int classes, int keep_mistakes)
    : classes_(classes), keep_(std::max(keep_mistakes, 0)), top_k_(std::min(5, classes)) {
  DAYBREAK_ASSERT(classes > 0);
  const auto count = static_cast<std::size_t>(classes);
  per_class_.resize(count);
  if (classes <= kMaxConfusionClasses) confusion_.assign(count * count, 0);
}

void ClassificationMetrics::add(std::span<const float> logits, std::span<const int> labels,
                                std::int64_t first_index) {
  DAYBREAK_ASSERT(logits.size() == labels.size() * static_cast<std::size_t>(classes_));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t index = first_index + static_cast<std::int64_t>(i);
    if (labels[i] < 0 || labels[i] >= classes_) {
      throw DataError(
          fmt::format("sample {}: label {} (expected 0 to {})", index, labels[i], classes_ - 1));
    }
    add_sample(logits.data() + i * static_cast<std::size_t>(classes_), labels[i], index);
  }
}

void ClassificationMetrics::add_sample(const float* logits, int label, std::int64_t index) {
  const Row row = read_row(logits, classes_);
  const int rank = row.finite ? rank_of(logits, classes_, label) : classes_;
  const double loss = row.finite ? row.log_sum - static_cast<double>(logits[label])
                                 : std::numeric_limits<double>::quiet_NaN();
  ++n_;
  loss_sum_ += loss;
  top1_ += rank == 0 ? 1 : 0;
  top5_ += rank < top_k_ ? 1 : 0;

  // Of a row with NaN or inf nothing is known; its column is the largest number it has, and should
  // that be the label it still counts as wrong in top1, as the operation topk_count does.
  const auto label_at = static_cast<std::size_t>(label);
  const auto best_at = static_cast<std::size_t>(row.best);
  ++per_class_[label_at].n;
  ++per_class_[best_at].predicted;
  if (rank == 0) ++per_class_[label_at].correct;
  if (!confusion_.empty()) ++confusion_[label_at * static_cast<std::size_t>(classes_) + best_at];
  if (rank == 0 || row.best == label) return;

  WrongSample sample{index, label, row.best, 0.0, 0.0, std::numeric_limits<double>::infinity()};
  if (row.finite) {
    sample.probability = std::exp(static_cast<double>(logits[row.best]) - row.log_sum);
    sample.label_probability = std::exp(-loss);
    sample.loss = loss;
  }
  keep(sample);
}

void ClassificationMetrics::keep(const WrongSample& sample) {
  if (keep_ == 0) return;
  if (mistakes_.size() == static_cast<std::size_t>(keep_)) {
    if (!worse(sample, mistakes_.front())) return;
    std::pop_heap(mistakes_.begin(), mistakes_.end(), worse);
    mistakes_.pop_back();
  }
  mistakes_.push_back(sample);
  std::push_heap(mistakes_.begin(), mistakes_.end(), worse);
}

ClassificationResult ClassificationMetrics::result() const {
  ClassificationResult result;
  result.n = n_;
  result.classes = classes_;
  result.loss = n_ > 0 ? loss_sum_ / static_cast<double>(n_) : 0.0;
  result.top1 = ratio(top1_, n_);
  result.top5 = ratio(top5_, n_);
  result.per_class = per_class_;
  for (ClassScore& score : result.per_class) {
    score.precision = ratio(score.correct, score.predicted);
    score.recall = ratio(score.correct, score.n);
    score.f1 = ratio(2 * score.correct, score.n + score.predicted);
  }
  result.confusion = confusion_;
  result.mistakes = mistakes_;
  std::sort(result.mistakes.begin(), result.mistakes.end(), worse);
  return result;
}

std::vector<Confusion> top_confusions(const ClassificationResult& result, std::size_t count) {
  std::vector<Confusion> pairs;
  if (result.confusion.empty()) return pairs;
  for (int label = 0; label < result.classes; ++label) {
    for (int predicted = 0; predicted < result.classes; ++predicted) {
      const std::int64_t confused = result.confused(label, predicted);
      if (label != predicted && confused > 0) pairs.push_back({label, predicted, confused});
    }
  }
  const std::size_t kept = std::min(count, pairs.size());
  std::partial_sort(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(kept), pairs.end(),
                    [](const Confusion& a, const Confusion& b) {
                      if (a.count != b.count) return a.count > b.count;
                      return a.label != b.label ? a.label < b.label : a.predicted < b.predicted;
                    });
  pairs.resize(kept);
  return pairs;
}

std::string class_name(const std::vector<std::string>& names, int index) {
  const auto at = static_cast<std::size_t>(index);
  if (index >= 0 && at < names.size() && !names[at].empty()) return names[at];
  return fmt::format("class {}", index);
}

std::string classification_json(const ClassificationResult& result,
                                const std::vector<std::string>& class_names,
                                const std::string& split) {
  using Json = nlohmann::ordered_json;
  Json json = {{"task", "classification"}, {"split", split},      {"n", result.n},
               {"loss", result.loss},      {"top1", result.top1}, {"top5", result.top5}};
  Json classes = Json::array();
  for (int c = 0; c < result.classes; ++c) {
    const ClassScore& score = result.per_class[static_cast<std::size_t>(c)];
    classes.push_back({{"name", class_name(class_names, c)},
                       {"n", score.n},
                       {"precision", score.precision},
                       {"recall", score.recall},
                       {"f1", score.f1}});
  }
  json["classes"] = std::move(classes);
  if (!result.confusion.empty()) {
    Json rows = Json::array();
    const auto width = static_cast<std::ptrdiff_t>(result.classes);
    for (auto row = result.confusion.begin(); row != result.confusion.end(); row += width) {
      rows.push_back(std::vector<std::int64_t>(row, row + width));
    }
    json["confusion"] = std::move(rows);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string class_table(const ClassificationResult& result,
                        const std::vector<std::string>& class_names) {
  constexpr std::size_t kNameColumns = 32;
  Table table({{"class", Align::left, kNameColumns},
               {"n", Align::right},
               {"precision", Align::right},
               {"recall", Align::right},
               {"f1", Align::right}});
  for (int c = 0; c < result.classes; ++c) {
    const ClassScore& score = result.per_class[static_cast<std::size_t>(c)];
    table.add_row({class_name(class_names, c), with_separators(score.n),
                   metric_text(score.precision), metric_text(score.recall), metric_text(score.f1)});
  }
  return table.to_string();
}

}  // namespace daybreak
