#include "train/batch_feeder.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "data/sampler.h"

namespace daybreak {
namespace {

class HostFeeder final : public BatchFeeder {
 public:
  HostFeeder(const Dataset& data, const LoaderOptions& options) : loader_(data, options) {}

  void start(std::int64_t epoch, std::int64_t offset) override { loader_.start(epoch, offset); }

  const FedBatch& next() override {
    const Batch& batch = loader_.next();
    fed_ = {batch.count,
            batch.height,
            batch.width,
            batch.count == static_cast<int>(batch.labels.size()),
            static_cast<std::uint64_t>(batch.epoch),
            static_cast<std::uint64_t>(batch.offset),
            &batch};
    return fed_;
  }

  std::function<void()> maker(PlanId) override { return {}; }

 private:
  Loader loader_;
  FedBatch fed_;
};

class ResidentFeeder final : public BatchFeeder {
 public:
  ResidentFeeder(const ResidentData& resident, const Dataset& data, const LoaderOptions& options,
                 const BatchRecipe& recipe, Executor& executor)
      : resident_(resident),
        options_(options),
        recipe_(recipe),
        executor_(executor),
        samples_(data.size()) {}

  void start(std::int64_t epoch, std::int64_t offset) override {
    epoch_ = epoch;
    offset_ = offset;
  }

  // As Loader::prepare.
  const FedBatch& next() override {
    const std::int64_t wanted = options_.last_batch == LastBatch::keep ? 1 : options_.batch;
    if (samples_ - offset_ < wanted) {
      ++epoch_;
      offset_ = 0;
    }
    if (order_epoch_ != epoch_) {
      epoch_order(samples_, options_.seed, epoch_, options_.shuffle, order_);
      executor_.backend().send(resident_.order(), order_.data(), order_.size() * sizeof(order_[0]));
      order_epoch_ = epoch_;
    }
    const auto count = static_cast<int>(std::min<std::int64_t>(options_.batch, samples_ - offset_));
    fed_ = {count,
            options_.height,
            options_.width,
            count == options_.batch,
            static_cast<std::uint64_t>(epoch_),
            static_cast<std::uint64_t>(offset_),
            nullptr};
    offset_ += count;
    return fed_;
  }

  std::function<void()> maker(PlanId plan) override {
    Maker& made = makers_[plan];
    if (!made.kernel) {
      const Graph& graph = executor_.graph();
      BatchRecipe recipe = recipe_;
      recipe.batch = executor_.plan(plan).request.batch;
      made.kernel = executor_.backend().batch_maker(recipe);
      made.bindings.x = {resident_.pictures(), resident_.labels(), resident_.order()};
      made.bindings.y = executor_.place(plan, graph.input(InputRole::image));
      made.bindings.w = {executor_.place(plan, graph.input(InputRole::labels))};
      made.bindings.scalars = executor_.device_scalars();
    }
    return [&made] { made.kernel->run(made.bindings); };
  }

 private:
  struct Maker {
    KernelPtr kernel;
    Bindings bindings;
  };

  const ResidentData& resident_;
  LoaderOptions options_;
  BatchRecipe recipe_;
  Executor& executor_;
  std::int64_t samples_;
  std::int64_t epoch_ = 0, offset_ = 0, order_epoch_ = -1;
  std::vector<std::uint32_t> order_;
  std::map<PlanId, Maker> makers_;
  FedBatch fed_;
};

BatchBorder border_of(BorderMode mode) {
  switch (mode) {
    case BorderMode::zero:
      return BatchBorder::zero;
    case BorderMode::edge:
      return BatchBorder::edge;
    case BorderMode::symmetric:
      return BatchBorder::symmetric;
    case BorderMode::reflect:
      break;
  }
  return BatchBorder::reflect;
}

// False for a transform that does more than move pixels.
bool add_transform(const TransformSpec& spec, BatchRecipe& recipe) {
  BatchTransform t;
  if (const auto* crop = std::get_if<PadCrop>(&spec)) {
    t.kind = BatchTransformKind::pad_crop;
    t.pad = crop->pad;
    t.border = border_of(crop->mode);
    const int slack = 2 * crop->pad;
    t.offsets = crop->compat_f0 ? std::max(1, slack) : slack + 1;
  } else if (const auto* flip = std::get_if<Flip>(&spec)) {
    t.kind = BatchTransformKind::flip;
    t.p = static_cast<float>(flip->p);
    t.vertical = flip->vertical;
    t.alternate = flip->alternate;
  } else if (const auto* cut = std::get_if<Cutout>(&spec)) {
    t.kind = BatchTransformKind::cutout;
    t.p = static_cast<float>(cut->p);
    t.size = cut->size;
  } else {
    return false;
  }
  if (recipe.transforms == kMostBatchTransforms) return false;
  recipe.transform[recipe.transforms++] = t;
  return true;
}

}  // namespace

std::unique_ptr<BatchFeeder> make_host_feeder(const Dataset& data, const LoaderOptions& options) {
  return std::make_unique<HostFeeder>(data, options);
}

std::size_t ResidentData::bytes(const Dataset& data) {
  const auto samples = static_cast<std::size_t>(data.size());
  const auto size = static_cast<std::size_t>(data.height()) * data.width() * data.channels();
  return samples * (size + sizeof(std::int32_t) + sizeof(std::uint32_t));
}

std::unique_ptr<ResidentData> ResidentData::if_small(const Dataset& data, Backend& backend) {
  if (bytes(data) >= backend.free_bytes() / 2) return nullptr;
  return std::make_unique<ResidentData>(data, backend);
}

ResidentData::ResidentData(const Dataset& data, Backend& backend) {
  const auto samples = static_cast<std::size_t>(data.size());
  const auto size = static_cast<std::size_t>(data.height()) * data.width() * data.channels();
  pictures_ = backend.allocate(samples * size);
  labels_ = backend.allocate(samples * sizeof(std::int32_t));
  order_ = backend.allocate(samples * sizeof(std::uint32_t));
  constexpr std::size_t kAtOnce = 1024;  // pictures; a part of a set need not be dense
  std::vector<std::uint8_t> block(std::min(samples, kAtOnce) * size);
  std::vector<std::int32_t> labels(samples);
  ReadScratch scratch;
  for (std::size_t begin = 0; begin < samples; begin += kAtOnce) {
    const std::size_t end = std::min(samples, begin + kAtOnce);
    for (std::size_t i = begin; i < end; ++i) {
      const PictureView picture = data.picture(static_cast<std::int64_t>(i), scratch);
      std::copy_n(picture.pixels, size, block.data() + (i - begin) * size);
      labels[i] = data.label(static_cast<std::int64_t>(i));
    }
    backend.copy_in(pictures_->data() + begin * size, block.data(), (end - begin) * size);
  }
  backend.copy_in(labels_->data(), labels.data(), labels.size() * sizeof(labels[0]));
}

std::optional<BatchRecipe> batch_recipe(const Dataset& data, const LoaderOptions& options) {
  if (data.empty() || data.has_boxes() || !options.sizes.empty() || !options.repeat ||
      !data.in_memory() || data.channels() > kMostBatchChannels || data.width() != options.width ||
      data.height() != options.height) {
    return std::nullopt;
  }
  BatchRecipe recipe;
  recipe.batch = options.batch;
  recipe.height = options.height;
  recipe.width = options.width;
  recipe.channels = data.channels();
  recipe.samples = static_cast<std::uint64_t>(data.size());
  recipe.seed = options.seed;
  for (int c = 0; c < recipe.channels; ++c) {
    constexpr std::uint8_t kGrey = 127;
    recipe.colour[c] = options.mean_colour.empty() ? kGrey : options.mean_colour[c];
  }
  for (const TransformSpec& spec : options.transforms) {
    if (!add_transform(spec, recipe)) return std::nullopt;
  }
  return recipe;
}

std::unique_ptr<BatchFeeder> make_resident_feeder(const ResidentData& resident, const Dataset& data,
                                                  const LoaderOptions& options,
                                                  const BatchRecipe& recipe, Executor& executor) {
  // Checks the options, and that transforms fit the size.
  const Loader checks(data, options);
  return std::make_unique<ResidentFeeder>(resident, data, options, recipe, executor);
}

}  // namespace daybreak
