#include "train/detector.h"

#include <algorithm>
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

// From fractions of the network's input to fractions of the picture: the way of fit_picture back.
Box unfit(const Box& box, const FitGeometry& g, const InputSpec& input, int w, int h) {
  const double scale_x = static_cast<double>(g.crop_w) / g.place_w;
  const double scale_y = static_cast<double>(g.crop_h) / g.place_h;
  Box result;
  result.cx = static_cast<float>(((box.cx * input.width - g.place_x) * scale_x + g.crop_x) / w);
  result.cy = static_cast<float>(((box.cy * input.height - g.place_y) * scale_y + g.crop_y) / h);
  result.w = static_cast<float>(box.w * input.width * scale_x / w);
  result.h = static_cast<float>(box.h * input.height * scale_y / h);
  return result;
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
  std::vector<Detection> found;
  for (const DetectionHead& head : graph.heads) {
    const Shape& shape = executor_->plan(plan_).shapes[head.raw];
    executor_->read(plan_, head.raw, raw_);
    decode_head(head, {shape.h, shape.w, input_.height, input_.width}, raw_.data(), options.conf,
                found);
  }
  const FitGeometry geometry =
      fit_geometry(picture.w, picture.h, input_.width, input_.height, input_.fit);
  for (Detection& d : found) d.box = unfit(d.box, geometry, input_, picture.w, picture.h);
  NmsOptions nms;
  nms.kind = options.nms_kind.value_or(graph.heads.back().nms);
  nms.threshold = options.nms;
  nms.beta = graph.heads.back().nms_beta;
  nms.min_score = options.conf;
  std::vector<Detection> kept = suppress(std::move(found), nms);
  if (times) *times = {fit_ms, network_ms, milliseconds_since(decode_start)};
  return kept;
}

}  // namespace daybreak
