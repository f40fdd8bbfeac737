#include "train/supervised.h"

#include <fmt/format.h>

#include <cmath>

namespace daybreak {
namespace {

// Halving the largest useful scale so often leaves nothing of it: training is lost.
constexpr int kMostSkipped = 50;

const SizePlans& plans_for(const StepPlans& plans, const Batch& batch) {
  for (const SizePlans& one : plans) {
    if (one.height == batch.height && one.width == batch.width) return one;
  }
  DAYBREAK_ASSERT(false);
  return plans.front();
}

}  // namespace

StepReport Supervised::step(const StepPlans& plans, Loader& loader, const StepKnobs& knobs) {
  StepScalars& scalars = executor_.scalars();
  scalars.lr = static_cast<float>(knobs.lr);
  scalars.momentum = static_cast<float>(knobs.momentum);
  scalars.clip_norm = static_cast<float>(knobs.clip_norm);
  scalars.step = knobs.step;
  scalars.grad_scale = 1.0f / static_cast<float>(knobs.micro_batches);
  StepReport report;
  for (int part = 0; part < knobs.micro_batches; ++part) {
    // Each part draws its own dropout masks.
    scalars.step = knobs.step * static_cast<std::uint64_t>(knobs.micro_batches) +
                   static_cast<std::uint64_t>(part);
    executor_.send_scalars();
    const Batch& batch = loader.next();
    const SizePlans& sized = plans_for(plans, batch);
    const bool full = batch.count == static_cast<int>(batch.labels.size());
    forward_backward(full ? sized.full : sized.partial, batch, report);
    if (knobs.micro_batches == 1) break;
    if (part == 0) {
      executor_.start_accumulation();
    } else {
      executor_.accumulate_gradients();
    }
  }
  if (knobs.micro_batches > 1) executor_.finish_accumulation();
  report.loss /= knobs.micro_batches;
  if (!std::isfinite(report.loss)) {
    throw DivergenceError(fmt::format("loss became {}", report.loss));
  }
  report.gradient_norm = executor_.gradient_norm();
  check_norm(report);
  executor_.update();
  return report;
}

void Supervised::check_norm(StepReport& report) {
  report.skipped = skips_update(executor_.scalars());
  skipped_in_a_row_ = report.skipped ? skipped_in_a_row_ + 1 : 0;
  if (skipped_in_a_row_ >= kMostSkipped) {
    throw DivergenceError(
        fmt::format("the gradients were not finite in {} steps in a row, at last "
                    "with loss scale {:g} (loss {:.4g})",
                    skipped_in_a_row_, executor_.scalars().loss_scale, report.loss));
  }
  if (!report.skipped && !std::isfinite(report.gradient_norm)) {
    throw DivergenceError(fmt::format("the gradient norm became {} (loss {:.4g})",
                                      report.gradient_norm, report.loss));
  }
}

void Supervised::forward_backward(PlanId plan, const Batch& batch, StepReport& report) {
  const Graph& graph = executor_.graph();
  const std::size_t count = static_cast<std::size_t>(batch.count);
  executor_.upload(plan, InputRole::image, batch.images.data(),
                   batch.images.size() / batch.labels.size() * count);
  if (graph.input(InputRole::labels) != kNone) {
    executor_.upload(plan, InputRole::labels, batch.labels.data(), count * sizeof(batch.labels[0]));
  }
  if (graph.input(InputRole::target) != kNone) upload_targets(plan, batch);
  if (graph.input(InputRole::boxes) != kNone) {
    const std::size_t floats = batch.boxes.size() / batch.labels.size() * count;
    executor_.upload(plan, InputRole::boxes, batch.boxes.data(), floats * sizeof(float));
  }
  executor_.forward(plan);
  executor_.backward(plan);
  report.loss += executor_.read_scalar(plan, graph.loss);
  if (graph.topk != kNone) {
    executor_.read(plan, graph.topk, counts_);
    report.correct += static_cast<std::int64_t>(counts_[0]);
  }
  report.samples += batch.count;
}

void Supervised::upload_targets(PlanId plan, const Batch& batch) {
  const Shape& shape = executor_.plan(plan).shapes[executor_.graph().prediction];
  targets_.assign(static_cast<std::size_t>(shape.count()), 0.0f);
  for (int i = 0; i < batch.count; ++i) {
    targets_[static_cast<std::size_t>(i * shape.per_sample() + batch.labels[i])] = 1.0f;
  }
  executor_.upload(plan, InputRole::target, targets_.data(), targets_.size() * sizeof(float));
}

}  // namespace daybreak
