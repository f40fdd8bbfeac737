#include "train/detection_evaluator.h"

#include <algorithm>
#include <utility>

#include "plan/recorder.h"

namespace daybreak {
namespace {

// Runs batches and hands out the heads' values picture by picture.
class HeadRunner {
 public:
  HeadRunner(Executor& executor, PlanId plan)
      : executor_(executor),
        plan_(plan),
        recorder_(executor.backend(), "evaluations"),
        loss_(executor.graph()) {
    const Graph& graph = executor.graph();
    const Shape& input = executor.plan(plan).shapes[graph.input(InputRole::image)];
    for (const DetectionHead& head : graph.heads) {
      const Shape& map = executor.plan(plan).shapes[head.raw];
      maps_.push_back({map.h, map.w, input.h, input.w});
      shapes_.push_back(map);
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
    recorder_.queue(known_, [this] { executor_.forward(plan_); });
    for (std::size_t h = 0; h < maps_.size(); ++h) {
      executor_.read(plan_, graph.heads[h].raw, values_[h]);
    }
    return executor_.read_scalar(plan_, graph.loss);
  }

  const std::vector<const float*>& picture(int index) {
    for (std::size_t h = 0; h < raw_.size(); ++h) {
      raw_[h] = values_[h].data() + shapes_[h].per_sample() * index;
    }
    return raw_;
  }
  const std::vector<HeadMap>& maps() const { return maps_; }

  // What the loss of the batch consists of.
  LossParts parts(const Batch& batch, double loss) {
    return loss_.parts(shapes_, values_, batch.boxes.data(), batch.max_boxes, loss);
  }

 private:
  Executor& executor_;
  PlanId plan_;
  Recorder recorder_;
  Recorder::Known known_;
  std::vector<HeadMap> maps_;
  std::vector<Shape> shapes_;
  PartedLoss loss_;
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

DetectionResult evaluate_detections(Executor& executor, PlanId plan, Loader& loader,
                                    const DetectionEvaluateOptions& options) {
  HeadRunner runner(executor, plan);
  const Dataset& data = loader.data();
  AveragePrecision precision(data.class_count());
  DetectionResult result;
  result.parts = {0.0, 0.0, 0.0};
  std::vector<FoundBox> boxes;
  loader.start(0, 0);
  for (std::int64_t done = 0; done < data.size();) {
    const Batch& batch = loader.next();
    // The last batch repeats its last sample; its loss counts as far as it has samples.
    const double loss = runner.run(batch);
    result.loss += loss * batch.count;
    result.parts += runner.parts(batch, loss).times(batch.count);
    for (int i = 0; i < batch.count; ++i) {
      const std::int64_t sample = batch.indices[static_cast<std::size_t>(i)];
      const auto [w, h] = data.picture_size(sample);
      std::vector<Detection> found =
          find_objects(executor.graph(), runner.picture(i), runner.maps(), loader.options().fit, w,
                       h, options.detect);
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
  const auto pictures = static_cast<double>(std::max<std::int64_t>(1, data.size()));
  result.loss /= pictures;
  result.parts = result.parts.times(1.0 / pictures);
  result.metrics = precision.coco();
  result.voc_all = precision.voc(VocCurve::all_points);
  result.voc_eleven = precision.voc(VocCurve::eleven_points);
  return result;
}

}  // namespace daybreak
