#include "train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace daybreak {
namespace {

// Mirrors every picture of a batch left-right: u8 [N, H, W, C].
void mirror(std::vector<std::uint8_t>& images, const Shape& shape) {
  const std::size_t row = static_cast<std::size_t>(shape.w) * shape.c;
  for (std::size_t start = 0; start + row <= images.size(); start += row) {
    for (int left = 0, right = shape.w - 1; left < right; ++left, --right) {
      std::swap_ranges(images.begin() + static_cast<std::ptrdiff_t>(start + left * shape.c),
                       images.begin() + static_cast<std::ptrdiff_t>(start + (left + 1) * shape.c),
                       images.begin() + static_cast<std::ptrdiff_t>(start + right * shape.c));
    }
  }
}

// Log-probabilities of rows of logits [n, classes], in place.
void log_softmax(std::vector<float>& logits, int classes) {
  for (std::size_t row = 0; row < logits.size(); row += classes) {
    float* z = logits.data() + row;
    const double largest = *std::max_element(z, z + classes);
    double sum = 0.0;
    for (int k = 0; k < classes; ++k) sum += std::exp(z[k] - largest);
    for (int k = 0; k < classes; ++k) z[k] = static_cast<float>(z[k] - largest - std::log(sum));
  }
}

class Runner {
 public:
  Runner(Executor& executor, PlanId plan) : executor_(executor), plan_(plan) {
    const ValueId image = executor.graph().input(InputRole::image);
    shape_ = executor.plan(plan).shapes[image];
    classes_ = executor.plan(plan).shapes[executor.graph().prediction].c;
  }

  // Scores [count, classes] of the first `count` samples.
  std::vector<float>& run(const std::vector<std::uint8_t>& images) {
    executor_.upload(plan_, InputRole::image, images.data(), images.size());
    executor_.forward(plan_);
    executor_.read(plan_, executor_.graph().prediction, logits_);
    return logits_;
  }

  // The logarithm of the mean of both views' probabilities.
  std::vector<float>& run_both(const std::vector<std::uint8_t>& images) {
    first_ = run(images);
    log_softmax(first_, classes_);
    mirrored_ = images;
    mirror(mirrored_, shape_);
    log_softmax(run(mirrored_), classes_);
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      const double mean = 0.5 * (std::exp(first_[i]) + std::exp(logits_[i]));
      logits_[i] = static_cast<float>(std::log(std::max(mean, 1e-38)));
    }
    return logits_;
  }

  int classes() const { return classes_; }

 private:
  Executor& executor_;
  PlanId plan_;
  Shape shape_;
  int classes_ = 0;
  std::vector<float> logits_, first_;
  std::vector<std::uint8_t> mirrored_;
};

}  // namespace

ClassificationResult evaluate(Executor& executor, PlanId plan, Loader& loader,
                              const EvaluateOptions& options) {
  Runner runner(executor, plan);
  ClassificationMetrics metrics(runner.classes(), options.keep_mistakes);
  const std::int64_t total = loader.data().size();
  loader.start(0, 0);
  for (std::int64_t done = 0; done < total;) {
    const Batch& batch = loader.next();
    const std::vector<float>& scores =
        options.flip ? runner.run_both(batch.images) : runner.run(batch.images);
    const std::size_t count = static_cast<std::size_t>(batch.count);
    metrics.add(std::span(scores).first(count * runner.classes()),
                std::span(batch.labels).first(count), done);
    done += batch.count;
    if (options.progress) options.progress(done);
  }
  return metrics.result();
}

}  // namespace daybreak
