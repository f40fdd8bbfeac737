#include "train/detector.h"

#include <chrono>
#include <utility>

#include "data/fit.h"
#include "layers/build_graph.h"
#include "train/fold.h"
#include "train/weights.h"

namespace daybreak {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

Detector::Detector(const NetworkSpec& net, int classes, Backend& backend,
                   const std::string& weights)
    : input_(net.input) {
  BuildOptions options;
  options.classes = classes;
  options.with_loss = false;
  options.float_input = true;
  const Graph trained = build_graph(net, options);
  if (trained.heads.empty()) {
    throw ConfigError(net.mark, "network \"" + net.name +
                                    "\" has no detection head (yolo, region), so it cannot find "
                                    "boxes; for classes of pictures use predict");
  }
  PlanRequest request;
  request.mode = Mode::eval;
  for (const DetectionHead& head : trained.heads) request.keep.push_back(head.raw);
  FoldedModel model = fold_batch_norm(trained, read_weights_for(trained, weights), request.keep);
  executor_ = std::make_unique<Executor>(std::move(model.graph), backend);
  plan_ = executor_->add_plan(request);
  executor_->prepare();
  write_weights(*executor_, weights, model.tensors, /*partial=*/false);
  classes_ = trained.heads.back().classes;
  for (const DetectionHead& head : executor_->graph().heads) {
    const Shape& shape = executor_->plan(plan_).shapes[head.raw];
    maps_.push_back({shape.h, shape.w, input_.height, input_.width});
  }
  values_.resize(maps_.size());
}

std::vector<Detection> Detector::detect(const Image& picture, const DetectOptions& options,
                                        DetectTimes* times) {
  const auto start = std::chrono::steady_clock::now();
  const Image* source = &picture;
  if (picture.c != input_.channels) {
    source_ = picture;
    convert_channels(source_, input_.channels);
    source = &source_;
  }
  fitted_.resize(static_cast<std::size_t>(input_.channels) * input_.height * input_.width);
  fit_normalized(source->view(), input_, fitted_.data());
  const double fit_ms = milliseconds_since(start);
  executor_->upload(plan_, InputRole::image, fitted_.data(), fitted_.size() * sizeof(float));
  executor_->forward(plan_);
  const double network_ms = milliseconds_since(start) - fit_ms;
  const auto decode_start = std::chrono::steady_clock::now();
  const Graph& graph = executor_->graph();
  std::vector<const float*> raw;
  for (std::size_t h = 0; h < maps_.size(); ++h) {
    executor_->read(plan_, graph.heads[h].raw, values_[h]);
    raw.push_back(values_[h].data());
  }
  std::vector<Detection> kept =
      find_objects(graph, raw, maps_, input_.fit, picture.w, picture.h, options);
  if (times) *times = {fit_ms, network_ms, milliseconds_since(decode_start)};
  return kept;
}

}  // namespace daybreak
