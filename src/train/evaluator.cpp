#include "train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
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

// The same as transforms of a device's batches, from first to last; none of them draws.
void show(const View& view, BatchRecipe& recipe) {
  DAYBREAK_ASSERT(recipe.transforms == 0 && view.dx == view.dy);
  if (view.dx != 0) {
    BatchTransform& moved = recipe.transform[recipe.transforms++];
    moved.kind = BatchTransformKind::pad_crop;
    moved.pad = view.dx;
    moved.border = BatchBorder::reflect;
    moved.offsets = 1;
  }
  if (view.mirrored) {
    BatchTransform& mirrored = recipe.transform[recipe.transforms++];
    mirrored.kind = BatchTransformKind::flip;
    mirrored.p = 1.0f;
  }
}

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

// What the device keeps for one view of the pictures.
struct Evaluator::Shown {
  View view;
  std::unique_ptr<BatchFeeder> feeder;  // null: its pictures are uploaded
  MemoryPtr rows;                       // scores [capacity, classes]
  MemoryPtr plain;                      // those of a batch; null: they lie so already
  KernelPtr to_plain, keeper;
  Bindings convert, keep;
  Recorder::Known known;
};

Evaluator::Evaluator(Executor& executor, PlanId plan, const Dataset& data, LoaderOptions loader,
                     std::uint64_t score_bytes)
    : executor_(executor),
      plan_(plan),
      data_(data),
      options_(std::move(loader)),
      recorder_(executor.backend(), "evaluations") {
  const Plan& planned = executor.plan(plan);
  shape_ = planned.shapes[executor.graph().input(InputRole::image)];
  classes_ = planned.shapes[executor.graph().prediction].c;
  // One batch where nothing is gained by waiting.
  const auto batch = static_cast<std::uint64_t>(shape_.n);
  const std::uint64_t all = (static_cast<std::uint64_t>(data.size()) + batch - 1) / batch;
  const std::uint64_t bytes = batch * static_cast<std::uint64_t>(classes_) * sizeof(float);
  const std::uint64_t most = std::max<std::uint64_t>(1, score_bytes / bytes);
  capacity_ =
      batch * (executor.backend().can_record() ? std::clamp<std::uint64_t>(all, 1, most) : 1);
}

Evaluator::~Evaluator() = default;

// Batches are the device's where it can make them, and the data fits beside the network.
std::vector<Evaluator::Shown*> Evaluator::prepare(Views views) {
  if (!host_ && !resident_) {
    Backend& backend = executor_.backend();
    LoaderOptions repeated = options_;
    repeated.repeat = true;  // as a feeder of the device is
    const std::optional<BatchRecipe> recipe = batch_recipe(data_, repeated);
    if (recipe && backend.batch_maker(*recipe)) {
      resident_ = ResidentData::if_small(data_, backend);
    }
    if (!resident_) host_ = make_host_feeder(data_, options_);
  }
  if (host_) host_->start(0, 0);
  std::vector<Shown*> list;
  for (const View& view : views_of(views)) {
    list.push_back(&shown(view));
    list.back()->view.weight = view.weight;  // one view weighs more the fewer there are
    if (list.back()->feeder) list.back()->feeder->start(0, 0);
  }
  return list;
}

Evaluator::Shown& Evaluator::shown(const View& view) {
  std::unique_ptr<Shown>& known = shown_[{view.mirrored ? 1 : 0, view.dx, view.dy}];
  if (known) return *known;
  auto made = std::make_unique<Shown>();
  made->view = view;
  Backend& backend = executor_.backend();
  const Plan& plan = executor_.plan(plan_);
  const ValueId prediction = executor_.graph().prediction;
  const TensorDesc& desc = plan.tensors[plan.value_tensor[prediction]].desc;
  const TensorDesc plain = plain_desc(desc.shape, DType::f32);
  std::byte* scores = executor_.place(plan_, prediction);
  if (desc.dtype != DType::f32 || !backend.same_bytes(desc, plain)) {
    made->plain = backend.allocate(plain.bytes);
    made->to_plain = backend.reorder(desc, plain);
    made->convert.x = {scores};
    made->convert.y = scores = made->plain->data();
  }
  const auto columns = static_cast<std::size_t>(desc.shape.per_sample());
  made->rows = backend.allocate(static_cast<std::size_t>(capacity_) * columns * sizeof(float));
  made->keeper = backend.row_keeper({desc.shape.n, static_cast<int>(columns), capacity_});
  DAYBREAK_ASSERT(made->keeper);
  made->keep.x = {scores};
  made->keep.y = made->rows->data();
  made->keep.scalars = executor_.device_scalars();
  if (resident_) {
    LoaderOptions repeated = options_;
    repeated.repeat = true;
    BatchRecipe recipe = batch_recipe(data_, repeated).value();
    show(view, recipe);
    made->feeder = make_resident_feeder(*resident_, data_, repeated, recipe, executor_);
  }
  known = std::move(made);
  return *known;
}

// The scores of a batch are put among those that are kept.
void Evaluator::queue(Shown& one, const FedBatch& batch) {
  if (batch.host != nullptr) {
    const std::vector<std::uint8_t>* pictures = &batch.host->images;
    if (one.view.mirrored || one.view.dx != 0 || one.view.dy != 0) {
      show(*pictures, shape_, one.view, pictures_);
      pictures = &pictures_;
    }
    executor_.upload(plan_, InputRole::image, pictures->data(), pictures->size());
  }
  executor_.scalars().epoch = batch.epoch;
  executor_.scalars().first_sample = batch.offset;
  executor_.send_scalars();
  const std::function<void()> fill =
      one.feeder ? one.feeder->maker(plan_) : std::function<void()>();
  recorder_.queue(one.known, [&] {
    if (fill) fill();
    executor_.forward(plan_);
    if (one.to_plain) one.to_plain->run(one.convert);
    one.keeper->run(one.keep);
  });
}

// Waits for the first `rows` of what is kept: scores, or the logarithm of the mean of all views'
// probabilities.
std::span<const float> Evaluator::scores(const std::vector<Shown*>& views, std::size_t rows) {
  Backend& backend = executor_.backend();
  logits_.resize(rows * static_cast<std::size_t>(classes_));
  mean_.assign(views.size() > 1 ? logits_.size() : 0, 0.0);
  backend.synchronize();
  for (const Shown* one : views) {
    backend.copy_out(logits_.data(), one->rows->data(), logits_.size() * sizeof(float));
    if (views.size() == 1) return logits_;
    log_softmax(logits_, classes_);
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      mean_[i] += one->view.weight * std::exp(logits_[i]);
    }
  }
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    logits_[i] = static_cast<float>(std::log(std::max(mean_[i], 1e-38)));
  }
  return logits_;
}

ClassificationResult Evaluator::evaluate(const EvaluateOptions& options) {
  const std::vector<Shown*> views = prepare(options.views);
  ClassificationMetrics metrics(classes_, options.keep_mistakes);
  std::vector<int> labels;
  const std::int64_t total = data_.size();
  for (std::int64_t done = 0, read = 0; done < total;) {
    const FedBatch* batch = host_ ? &host_->next() : nullptr;
    for (Shown* one : views) {
      if (one->feeder) batch = &one->feeder->next();
      queue(*one, *batch);
    }
    for (int i = 0; i < batch->count; ++i) labels.push_back(data_.label(done + i));
    done += batch->count;
    if (done < total && static_cast<std::uint64_t>(done) % capacity_ != 0) continue;
    metrics.add(scores(views, labels.size()), labels, read);
    labels.clear();
    read = done;
    if (options.progress) options.progress(done);
  }
  return metrics.result();
}

}  // namespace daybreak
