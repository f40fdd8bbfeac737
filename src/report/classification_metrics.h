#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace daybreak {

/// A sample whose predicted class is wrong.
struct WrongSample {
  std::int64_t index = 0;  ///< in the split
  int label = 0;
  int predicted = 0;
  double probability = 0.0;        ///< of the predicted class
  double label_probability = 0.0;  ///< of the right class
  double loss = 0.0;               ///< -log(label_probability)
};

/// Counts of one class. Ratios with a zero denominator are 0.
struct ClassScore {
  std::int64_t n = 0;          ///< samples of this class
  std::int64_t predicted = 0;  ///< samples predicted to be of this class
  std::int64_t correct = 0;
  double precision = 0.0;
  double recall = 0.0;
  double f1 = 0.0;
};

/// A pair of classes the network mixes up.
struct Confusion {
  int label = 0;
  int predicted = 0;
  std::int64_t count = 0;
};

/// What an evaluation of a classifier found.
struct ClassificationResult {
  std::int64_t n = 0;
  int classes = 0;
  double loss = 0.0;  ///< mean softmax cross-entropy in nats
  double top1 = 0.0;
  double top5 = 0.0;  ///< of min(5, classes) guesses
  std::vector<ClassScore> per_class;
  /// [classes, classes], row = label, column = predicted; empty above kMaxConfusionClasses.
  std::vector<std::int64_t> confusion;
  std::vector<WrongSample> mistakes;  ///< largest loss first

  std::int64_t confused(int label, int predicted) const {
    return confusion[static_cast<std::size_t>(label) * static_cast<std::size_t>(classes) +
                     static_cast<std::size_t>(predicted)];
  }
};

constexpr int kMaxConfusionClasses = 2048;

/// Collects logits and labels of an evaluation, sample by sample, in double precision; the result
/// depends on the order of add() calls only.
class ClassificationMetrics {
 public:
  /// Keeps the `keep_mistakes` wrong samples of the largest loss.
  ClassificationMetrics(int classes, int keep_mistakes);

  /// `logits` is [labels.size(), classes]; sample i of the call has index `first_index + i`. A
  /// label's rank is the number of classes with a larger score plus those of equal score and
  /// smaller index; a sample with a non-finite score counts as wrong. A label outside the classes
  /// is a DataError.
  void add(std::span<const float> logits, std::span<const int> labels, std::int64_t first_index);

  ClassificationResult result() const;

 private:
  void add_sample(const float* logits, int label, std::int64_t index);
  void keep(const WrongSample& sample);

  int classes_;
  int keep_;
  int top_k_;
  double loss_sum_ = 0.0;
  std::int64_t n_ = 0, top1_ = 0, top5_ = 0;
  std::vector<ClassScore> per_class_;
  std::vector<std::int64_t> confusion_;
  std::vector<WrongSample> mistakes_;  // a heap whose first has the smallest loss
};

/// The pairs mixed up most often, without the right ones, at most `count`.
std::vector<Confusion> top_confusions(const ClassificationResult& result, std::size_t count);

/// Name of a class; "class 7" when there is none.
std::string class_name(const std::vector<std::string>& names, int index);

/// The JSON of `test` (cli.md): {"task":"classification","split":...,"n":...,"loss":...,"top1":...,
/// "top5":...,"classes":[...],"confusion":[[...]]}. Non-finite numbers are null.
std::string classification_json(const ClassificationResult& result,
                                const std::vector<std::string>& class_names,
                                const std::string& split);

/// Class, n, precision, recall, F1 as an aligned text table.
std::string class_table(const ClassificationResult& result,
                        const std::vector<std::string>& class_names);

}  // namespace daybreak
