#include "train/detection_evaluator.h"

#include <algorithm>
#include <utility>

#include "data/fit.h"
#include "detect/nms.h"

namespace daybreak {
namespace {

// Runs batches and hands out the heads' values picture by picture.
class HeadRunner {
 public:
  HeadRunner(Executor& executor, PlanId plan) : executor_(executor), plan_(plan) {
    const Graph& graph = executor.graph();
    const Shape& input = executor.plan(plan).shapes[graph.input(InputRole::image)];
    for (const DetectionHead& head : graph.heads) {
      const Shape& map = executor.plan(plan).shapes[head.raw];
      maps_.push_back({map.h, map.w, input.h, input.w});
      sizes_.push_back(map.per_sample());
    }
    values_.resize(maps_.size());
    raw_.resize(maps_.size());
  }

  // Returns the loss of the batch.
  double run(const Batch& batch) {
    const Graph& graph = executor_.graph();
    executor_.upload(plan_, InputRole::image, batch.images.data(), batch.images.size());
    executor_.upload(plan_, InputRole::boxes, batch.boxes.data(),
                     batch.boxes.size() * sizeof(float));
    executor_.forward(plan_);
    for (std::size_t h = 0; h < maps_.size(); ++h) {
      executor_.read(plan_, graph.heads[h].raw, values_[h]);
    }
    return executor_.read_scalar(plan_, graph.loss);
  }

  const std::vector<const float*>& picture(int index) {
    for (std::size_t h = 0; h < raw_.size(); ++h) {
      raw_[h] = values_[h].data() + sizes_[h] * index;
    }
    return raw_;
  }
  const std::vector<HeadMap>& maps() const { return maps_; }

 private:
  Executor& executor_;
  PlanId plan_;
  std::vector<HeadMap> maps_;
  std::vector<std::int64_t> sizes_;
  std::vector<std::vector<float>> values_;
  std::vector<const float*> raw_;
};

}  // namespace

PixelBox to_pixels(const Box& box, int w, int h) {
  return {(double{box.cx} - double{box.w} / 2) * w, (double{box.cy} - double{box.h} / 2) * h,
          double{box.w} * w, double{box.h} * h};
}

std::vector<TruthBox> truths_of(const Dataset& data, std::int64_t sample) {
  const auto [w, h] = data.picture_size(sample);
  std::vector<TruthBox> truths;
  for (const LabelBox& label : data.boxes(sample)) {
    truths.push_back({to_pixels(label.box, w, h), label.category, label.difficult, label.crowd,
                      double{label.area}});
  }
  return truths;
}

std::vector<Detection> find_objects(const Graph& graph, const std::vector<const float*>& raw,
                                    const std::vector<HeadMap>& maps, Fit fit, int w, int h,
                                    float conf, float nms) {
  std::vector<Detection> found;
  for (std::size_t k = 0; k < maps.size(); ++k) {
    decode_head(graph.heads[k], maps[k], raw[k], conf, found);
  }
  const int input_w = maps.front().input_width, input_h = maps.front().input_height;
  const FitGeometry geometry = fit_geometry(w, h, input_w, input_h, fit);
  for (Detection& d : found) d.box = unfit_box(d.box, geometry, w, h, input_w, input_h);
  NmsOptions options;
  options.kind = graph.heads.back().nms;
  options.beta = graph.heads.back().nms_beta;
  options.threshold = nms;
  options.min_score = conf;
  return suppress(std::move(found), options);
}

DetectionResult evaluate_detections(Executor& executor, PlanId plan, Loader& loader,
                                    const DetectionEvaluateOptions& options) {
  HeadRunner runner(executor, plan);
  const Dataset& data = loader.data();
  AveragePrecision precision(data.class_count());
  DetectionResult result;
  std::vector<FoundBox> boxes;
  loader.start(0, 0);
  for (std::int64_t done = 0; done < data.size();) {
    const Batch& batch = loader.next();
    // The last batch repeats its last sample; its loss counts as far as it has samples.
    result.loss += runner.run(batch) * batch.count;
    for (int i = 0; i < batch.count; ++i) {
      const std::int64_t sample = batch.indices[static_cast<std::size_t>(i)];
      const auto [w, h] = data.picture_size(sample);
      std::vector<Detection> found =
          find_objects(executor.graph(), runner.picture(i), runner.maps(), loader.options().fit, w,
                       h, options.conf, options.nms);
      boxes.clear();
      for (const Detection& d : found) {
        boxes.push_back({to_pixels(d.box, w, h), d.category, d.score});
      }
      precision.add(truths_of(data, sample), boxes);
      if (sample < options.keep_samples) result.samples.push_back({sample, std::move(found)});
    }
    done += batch.count;
    if (options.progress) options.progress(done);
  }
  result.loss /= static_cast<double>(std::max<std::int64_t>(1, data.size()));
  result.metrics = precision.coco();
  result.voc_all = precision.voc(VocCurve::all_points);
  result.voc_eleven = precision.voc(VocCurve::eleven_points);
  return result;
}

}  // namespace daybreak
