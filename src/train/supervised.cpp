#include "train/supervised.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace daybreak {
namespace {

// Halving the largest useful scale so often leaves nothing of it: training is lost.
constexpr int kMostSkipped = 50;

const SizePlans& plans_for(const StepPlans& plans, const FedBatch& batch) {
  for (const SizePlans& one : plans) {
    if (one.height == batch.height && one.width == batch.width) return one;
  }
  DAYBREAK_ASSERT(false);
  return plans.front();
}

}  // namespace

void Supervised::queue(const StepPlans& plans, BatchFeeder& feeder, const StepKnobs& knobs) {
  StepScalars& scalars = executor_.scalars();
  scalars.lr = static_cast<float>(knobs.lr);
  scalars.momentum = static_cast<float>(knobs.momentum);
  scalars.clip_norm = static_cast<float>(knobs.clip_norm);
  scalars.grad_scale = 1.0f / static_cast<float>(knobs.micro_batches);
  if (samples_.empty()) first_update_ = scalars.update;
  std::int64_t samples = 0;
  LossParts parts{0.0, 0.0, 0.0};
  for (int part = 0; part < knobs.micro_batches; ++part) {
    // Each part draws its own dropout masks.
    scalars.step = knobs.step * static_cast<std::uint64_t>(knobs.micro_batches) +
                   static_cast<std::uint64_t>(part);
    const FedBatch& batch = feeder.next();
    scalars.epoch = batch.epoch;
    scalars.first_sample = batch.offset;
    const SizePlans& sized = plans_for(plans, batch);
    const PlanId plan = batch.full ? sized.full : sized.partial;
    if (batch.host != nullptr) upload(plan, *batch.host);
    runner_.queue({plan, part == 0, part + 1 == knobs.micro_batches}, feeder.maker(plan));
    parts += batch.host != nullptr ? parts_of(plan, *batch.host) : LossParts{};
    samples += batch.count;
  }
  samples_.push_back(samples);
  parts_.push_back(parts.times(1.0 / knobs.micro_batches));
}

std::vector<StepReport> Supervised::collect() {
  const std::vector<StepRecord> records = runner_.read();
  std::vector<StepReport> reports;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const StepRecord& record = records[i];
    StepReport report;
    report.loss = record.loss;
    report.parts = parts_[i];
    report.correct = record.hits;
    report.samples = samples_[i];
    report.gradient_norm = record.grad_norm;
    report.skipped = record.skips != 0;
    report.update = first_update_ + i + 1 - record.skipped;
    report.loss_scale = record.loss_scale;
    report.good_updates = record.good_updates;
    reports.push_back(report);
  }
  samples_.clear();
  parts_.clear();
  return reports;
}

void Supervised::check(const StepReport& report) {
  if (!std::isfinite(report.loss)) {
    throw DivergenceError(fmt::format("loss became {}", report.loss));
  }
  const bool guarded = executor_.scalars().guarded != 0;
  const bool skipped = report.skipped && guarded;
  skipped_in_a_row_ = skipped ? skipped_in_a_row_ + 1 : 0;
  if (skipped_in_a_row_ >= kMostSkipped) {
    throw DivergenceError(
        fmt::format("the gradients were not finite in {} steps in a row, at last "
                    "with loss scale {:g} (loss {:.4g})",
                    skipped_in_a_row_, report.loss_scale, report.loss));
  }
  if (!skipped && !std::isfinite(report.gradient_norm)) {
    throw DivergenceError(fmt::format("the gradient norm became {} (loss {:.4g})",
                                      report.gradient_norm, report.loss));
  }
}

StepReport Supervised::step(const StepPlans& plans, BatchFeeder& feeder, const StepKnobs& knobs) {
  DAYBREAK_ASSERT(samples_.empty());
  queue(plans, feeder, knobs);
  const StepReport report = collect().front();
  check(report);
  return report;
}

void Supervised::upload(PlanId plan, const Batch& batch) {
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
}

LossParts Supervised::parts_of(PlanId plan, const Batch& batch) {
  const Graph& graph = executor_.graph();
  const std::vector<ValueId>& kept = executor_.plan(plan).request.keep;
  const auto is_kept = [&](const DetectionHead& head) {
    return std::find(kept.begin(), kept.end(), head.raw) != kept.end();
  };
  const bool known = parted_loss_.known() && !executor_.backend().can_record();
  if (!known || !std::all_of(graph.heads.begin(), graph.heads.end(), is_kept)) return {};
  head_shapes_.clear();
  head_values_.resize(graph.heads.size());
  for (std::size_t h = 0; h < graph.heads.size(); ++h) {
    head_shapes_.push_back(executor_.plan(plan).shapes[graph.heads[h].raw]);
    executor_.read(plan, graph.heads[h].raw, head_values_[h]);
  }
  const double loss = executor_.read_scalar(plan, graph.loss);
  return parted_loss_.parts(head_shapes_, head_values_, batch.boxes.data(), batch.max_boxes, loss);
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
