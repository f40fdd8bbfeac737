#include "support/train_rig.h"

#include <algorithm>
#include <cmath>

#include "config/solver_config.h"
#include "core/philox.h"
#include "layers/build_graph.h"
#include "train/session.h"

namespace daybreak {
namespace {

constexpr int kClasses = 10;

Graph load(const std::string& text) {
  const bool path = text.find('\n') == std::string::npos;
  NetworkSpec net = path ? load_network("builtin:" + text) : load_network_text(text, "net.yaml");
  use_placeholder_statistics(net.input);
  BuildOptions options;
  options.stand_in_classes = kClasses;
  return build_graph(net, options);
}

}  // namespace

TrainRig::TrainRig(const std::string& net, Backend& backend, const Options& options)
    : options_(options), executor_(load(net), backend) {
  const Graph& graph = executor_.graph();
  PlanRequest request;
  request.batch = options.batch;
  request.dtype = options.dtype;
  request.keep = {graph.loss, graph.prediction};
  train_ = executor_.add_plan(request, options.choose, options.join);
  request.mode = Mode::eval;
  request.keep = {graph.prediction};
  eval_ = executor_.add_plan(request);
  executor_.prepare();
  executor_.initialize(1);
  executor_.set_optimizer({});
  std::vector<ParamKnobs> knobs(graph.params.size());
  for (ParamKnobs& knob : knobs) knob.weight_decay = 1e-4f;
  executor_.set_groups(executor_.params().groups(knobs));
  executor_.set_loss_scaling(options.scaling);
  executor_.scalars().lr = options.lr;
  executor_.scalars().momentum = 0.9f;
}

void TrainRig::upload(PlanId plan, int i) {
  const Graph& graph = executor_.graph();
  const Shape& shape = executor_.plan(plan).shapes[graph.input(InputRole::image)];
  const std::size_t size = static_cast<std::size_t>(shape.per_sample());
  std::vector<std::uint8_t> pictures(size * static_cast<std::size_t>(shape.n));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(shape.n));
  for (int n = 0; n < shape.n; ++n) {
    Draws noise(7, Purpose::synthetic, static_cast<std::uint64_t>(i),
                static_cast<std::uint64_t>(n));
    labels[n] = static_cast<std::int32_t>(noise.below(kClasses));
    Draws pattern(8, Purpose::synthetic, static_cast<std::uint64_t>(labels[n]), 0);
    for (std::size_t p = 0; p < size; ++p) {
      const float value = 255.0f * (0.5f * pattern.uniform() + 0.5f * noise.uniform());
      pictures[static_cast<std::size_t>(n) * size + p] = static_cast<std::uint8_t>(value);
    }
  }
  executor_.upload(plan, InputRole::image, pictures.data(), pictures.size());
  if (executor_.plan(plan).value_tensor[graph.input(InputRole::labels)] != kNone) {
    executor_.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(labels[0]));
  }
}

double TrainRig::forward_backward(int i) {
  executor_.send_scalars();
  upload(train_, i);
  executor_.forward(train_);
  executor_.backward(train_);
  return executor_.read_scalar(train_, executor_.graph().loss);
}

double TrainRig::step() {
  executor_.scalars().step = static_cast<std::uint64_t>(next_);
  const double loss = forward_backward(next_++);
  executor_.gradient_norm();
  executor_.update();
  return loss;
}

void TrainRig::queue_step(StepRunner& runner) {
  executor_.scalars().step = static_cast<std::uint64_t>(next_);
  upload(train_, next_++);
  runner.queue({train_});
}

std::vector<float> TrainRig::predict(int i) {
  upload(eval_, i);
  executor_.forward(eval_);
  std::vector<float> scores;
  executor_.read(eval_, executor_.graph().prediction, scores);
  return scores;
}

GradientDifference compare_gradients(Executor& a, Executor& b, double floor) {
  struct Sums {
    std::string name;
    double difference = 0.0, size = 0.0;
  };
  std::vector<Sums> params;
  Sums all;
  double dot = 0.0, size_a = 0.0;
  const double scale_a = 1.0 / a.read_scalars().loss_scale;
  const double scale_b = 1.0 / b.read_scalars().loss_scale;
  for (std::size_t p = 0; p < b.graph().params.size(); ++p) {
    if (!is_trained(b.graph().params[p].spec.role)) continue;
    const auto of_a = a.params().read_gradient(static_cast<ParamId>(p));
    const auto of_b = b.params().read_gradient(static_cast<ParamId>(p));
    Sums sums{b.graph().params[p].name};
    for (std::size_t i = 0; i < of_b.size(); ++i) {
      const double x = of_a[i] * scale_a, y = of_b[i] * scale_b;
      sums.difference += (x - y) * (x - y);
      sums.size += y * y;
      dot += x * y;
      size_a += x * x;
    }
    all.difference += sums.difference;
    all.size += sums.size;
    params.push_back(std::move(sums));
  }
  GradientDifference result;
  result.whole = std::sqrt(all.difference / all.size);
  result.cosine = dot / std::sqrt(size_a * all.size);
  for (const Sums& sums : params) {
    if (!(sums.size >= floor * floor * all.size)) continue;
    const double relative = std::sqrt(sums.difference / sums.size);
    if (!(relative <= result.worst)) result.worst = relative, result.worst_name = sums.name;
  }
  return result;
}

}  // namespace daybreak
