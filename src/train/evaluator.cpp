#include "train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/transforms.h"

namespace daybreak {
namespace {

// A view of every picture of a batch, u8 [N, H, W, C].
void show(const std::vector<std::uint8_t>& images, const Shape& shape, const View& view,
          std::vector<std::uint8_t>& out) {
  out.resize(images.size());
  const std::size_t pixel = static_cast<std::size_t>(shape.c), row = pixel * shape.w;
  const std::size_t picture = row * shape.h;
  for (std::size_t start = 0; start + picture <= images.size(); start += picture) {
    for (int y = 0; y < shape.h; ++y) {
      const auto from_y = border_index(y - view.dy, shape.h, BorderMode::reflect);
      for (int x = 0; x < shape.w; ++x) {
        const int shown = view.mirrored ? shape.w - 1 - x : x;
        const auto from_x = border_index(shown - view.dx, shape.w, BorderMode::reflect);
        std::copy_n(
            images.begin() + static_cast<std::ptrdiff_t>(start + from_y * row + from_x * pixel),
            pixel, out.begin() + static_cast<std::ptrdiff_t>(start + y * row + x * pixel));
      }
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

  // The logarithm of the mean of all views' probabilities.
  std::vector<float>& run_views(const std::vector<std::uint8_t>& images,
                                const std::vector<View>& views) {
    mean_.clear();
    for (const View& view : views) {
      show(images, shape_, view, shown_);
      log_softmax(run(shown_), classes_);
      mean_.resize(logits_.size(), 0.0);
      for (std::size_t i = 0; i < logits_.size(); ++i)
        mean_[i] += view.weight * std::exp(logits_[i]);
    }
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      logits_[i] = static_cast<float>(std::log(std::max(mean_[i], 1e-38)));
    }
    return logits_;
  }

  int classes() const { return classes_; }

 private:
  Executor& executor_;
  PlanId plan_;
  Shape shape_;
  int classes_ = 0;
  std::vector<float> logits_;
  std::vector<double> mean_;
  std::vector<std::uint8_t> shown_;
};

}  // namespace

std::vector<View> views_of(Views views) {
  std::vector<View> list;
  const auto add = [&](int shift, double weight) {
    for (const bool mirrored : {false, true}) list.push_back({mirrored, shift, shift, weight});
  };
  switch (views) {
    case Views::none:
      list.push_back({});
      break;
    case Views::flip:
      add(0, 0.5);
      break;
    case Views::shift:
      add(0, 0.25);
      add(1, 0.125);
      add(-1, 0.125);
      break;
  }
  return list;
}

ClassificationResult evaluate(Executor& executor, PlanId plan, Loader& loader,
                              const EvaluateOptions& options) {
  Runner runner(executor, plan);
  const std::vector<View> views = views_of(options.views);
  ClassificationMetrics metrics(runner.classes(), options.keep_mistakes);
  const std::int64_t total = loader.data().size();
  loader.start(0, 0);
  for (std::int64_t done = 0; done < total;) {
    const Batch& batch = loader.next();
    const std::vector<float>& scores =
        views.size() > 1 ? runner.run_views(batch.images, views) : runner.run(batch.images);
    const std::size_t count = static_cast<std::size_t>(batch.count);
    metrics.add(std::span(scores).first(count * runner.classes()),
                std::span(batch.labels).first(count), done);
    done += batch.count;
    if (options.progress) options.progress(done);
  }
  return metrics.result();
}

}  // namespace daybreak
