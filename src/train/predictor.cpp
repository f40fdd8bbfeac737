#include "train/predictor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/fit.h"
#include "layers/build_graph.h"
#include "train/weights.h"

namespace daybreak {

Predictor::Predictor(const NetworkSpec& net, int classes, Backend& backend,
                     const std::string& weights, DType dtype)
    : input_(net.input) {
  BuildOptions options;
  options.classes = classes;
  options.with_loss = false;
  executor_ = std::make_unique<Executor>(build_graph(net, options), backend);
  const Graph& graph = executor_->graph();
  PlanRequest request;
  request.mode = Mode::eval;
  request.dtype = dtype;
  request.keep = {graph.prediction};
  plan_ = executor_->add_plan(request);
  executor_->prepare();
  load_weights(*executor_, weights, /*partial=*/false);
  const Shape& shape = executor_->plan(plan_).shapes[graph.prediction];
  if (shape.spatial() != 1) {
    throw ConfigError(net.mark, "network \"" + net.name +
                                    "\" does not end in one score per class (its output is " +
                                    to_string(shape) + "), so it cannot predict classes");
  }
  classes_ = shape.c;
  const NodeId producer = graph.values[graph.prediction].producer;
  is_probability_ = producer != kNone && graph.nodes[producer].op->kind() == OpKind::softmax;
}

std::vector<float> Predictor::probabilities(const Image& picture) {
  Image source = picture;
  convert_channels(source, input_.channels);
  const Image fitted = fit_picture(source.view(), input_.width, input_.height, input_.fit);
  executor_->upload(plan_, InputRole::image, fitted.hwc.data(), fitted.hwc.size());
  executor_->forward(plan_);
  std::vector<float> scores;
  executor_->read(plan_, executor_->graph().prediction, scores);
  if (is_probability_) return scores;
  const float largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (float& score : scores) sum += score = std::exp(score - largest);
  for (float& score : scores) score = static_cast<float>(score / sum);
  return scores;
}

std::vector<Guess> Predictor::predict(const Image& picture, int top) {
  const std::vector<float> scores = probabilities(picture);
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(top), order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](int a, int b) { return scores[a] > scores[b] || (scores[a] == scores[b] && a < b); });
  std::vector<Guess> guesses;
  for (std::size_t i = 0; i < count; ++i) guesses.push_back({order[i], scores[order[i]]});
  return guesses;
}

}  // namespace daybreak
