#include "data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/error.h"
#include "core/parallel.h"
#include "data/opencv_setup.h"
#include "data/sampler.h"

namespace daybreak {
namespace {

constexpr int kChunkInMemory = 32;
constexpr int kChunkDecoding = 4;
constexpr int kMostAutomaticWorkers = 8;

constexpr int kBoxValues = 5;  // of a row: category, cx, cy, w, h

// One for each picture size that a batch may have.
std::vector<Augmenter> make_augmenters(const Dataset& data, const LoaderOptions& options) {
  Augmenter::Options augment{options.width, options.height,      data.channels(),    options.fit,
                             options.seed,  options.mean_colour, options.min_visible};
  std::vector<Augmenter> augmenters;
  if (options.sizes.empty()) augmenters.emplace_back(options.transforms, augment);
  for (const int side : options.sizes) {
    augment.width = augment.height = side;
    augmenters.emplace_back(options.transforms, augment);
  }
  return augmenters;
}

bool has_mosaic(const std::vector<TransformSpec>& transforms) {
  return std::any_of(transforms.begin(), transforms.end(), [](const TransformSpec& spec) {
    return std::holds_alternative<Mosaic>(spec);
  });
}

// Work of about a microsecond a picture is cheaper done at once than handed over.
bool is_cheap(const Dataset& data, const LoaderOptions& options) {
  if (data.has_boxes() || !options.sizes.empty()) return false;
  if (!data.in_memory() || data.width() != options.width || data.height() != options.height)
    return false;
  return std::all_of(
      options.transforms.begin(), options.transforms.end(), [](const TransformSpec& spec) {
        return std::holds_alternative<PadCrop>(spec) || std::holds_alternative<Flip>(spec) ||
               std::holds_alternative<Cutout>(spec);
      });
}

int worker_count(const Dataset& data, const LoaderOptions& options) {
  if (options.workers >= 0) return options.workers;
  if (is_cheap(data, options)) return 0;
  return std::clamp(usable_cores() / 2, 1, kMostAutomaticWorkers);
}

const Dataset& check_data(const Dataset& data, const LoaderOptions& options) {
  if (data.empty()) throw ConfigError("the data part is empty");
  if (options.batch < 1) throw ConfigError(fmt::format("batch {} is not positive", options.batch));
  if (options.last_batch == LastBatch::drop && data.size() < options.batch) {
    throw ConfigError(
        fmt::format("{} pictures are less than one batch of {}; use a smaller \"batch\", or "
                    "\"last_batch: keep\"",
                    data.size(), options.batch));
  }
  if (has_mosaic(options.transforms) && !data.has_boxes()) {
    throw ConfigError("mosaic needs data with boxes");
  }
  const int capacity = box_capacity(data, options.transforms);
  if (options.max_boxes > 0 && options.max_boxes < capacity) {
    throw ConfigError(fmt::format("pictures have up to {} boxes, the network takes {}", capacity,
                                  options.max_boxes));
  }
  return data;
}

void reserve(Batch& batch, const LoaderOptions& options, const Dataset& data) {
  const auto count = static_cast<std::size_t>(options.batch);
  batch.height = options.height;
  batch.width = options.width;
  if (!options.sizes.empty()) {
    batch.height = batch.width = *std::max_element(options.sizes.begin(), options.sizes.end());
  }
  batch.images.resize(count * batch.height * batch.width * data.channels());
  batch.labels.resize(count);
  batch.indices.resize(count);
  if (!data.has_boxes()) return;
  batch.max_boxes =
      options.max_boxes > 0 ? options.max_boxes : box_capacity(data, options.transforms);
  batch.boxes.resize(count * batch.max_boxes * kBoxValues);
}

// The boxes of a sample as rows of a batch.
void write_boxes(const std::vector<LabelBox>& boxes, int sample, Batch& batch) {
  const std::size_t size = static_cast<std::size_t>(batch.max_boxes) * kBoxValues;
  float* row = batch.boxes.data() + static_cast<std::size_t>(sample) * size;
  float* const end = row + size;
  for (const LabelBox& label : boxes) {
    if (label.crowd) continue;
    DAYBREAK_ASSERT(row < end);
    const float values[kBoxValues] = {static_cast<float>(label.category), label.box.cx,
                                      label.box.cy, label.box.w, label.box.h};
    row = std::copy(values, values + kBoxValues, row);
  }
  constexpr float kUnused[kBoxValues] = {-1.0f, 0.0f, 0.0f, 0.0f, 0.0f};
  while (row < end) row = std::copy(kUnused, kUnused + kBoxValues, row);
}

}  // namespace

int box_capacity(const Dataset& data, const std::vector<TransformSpec>& transforms) {
  if (!data.has_boxes()) return 0;
  const int most = std::max(1, data.most_boxes() * (has_mosaic(transforms) ? 4 : 1));
  return (most + 7) / 8 * 8;
}

Loader::Loader(const Dataset& data, LoaderOptions options)
    : data_(check_data(data, options)),
      options_(std::move(options)),
      augmenters_(make_augmenters(data_, options_)) {
  setup_opencv();
  order_.reserve(static_cast<std::size_t>(data_.size()));
  chunk_ = data_.in_memory() ? kChunkInMemory : kChunkDecoding;
  const int workers = worker_count(data_, options_);
  // The caller holds one batch while the others are made.
  slots_.resize(workers == 0 ? 1 : static_cast<std::size_t>(std::max(1, options_.prefetch)) + 1);
  for (Slot& slot : slots_) reserve(slot.batch, options_, data_);
  scratch_.resize(static_cast<std::size_t>(workers == 0 ? chunk_count() : workers));
  try {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    stop_workers();
    throw DeviceError(fmt::format("cannot start a loader thread: {}", error.what()));
  }
}

Loader::~Loader() {
  stop_workers();
}

void Loader::stop_workers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = cancelled_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

int Loader::chunk_count() const {
  return (options_.batch + chunk_ - 1) / chunk_;
}

std::int64_t Loader::batches_per_epoch(std::int64_t offset) const {
  const std::int64_t left = std::max<std::int64_t>(0, data_.size() - offset);
  const std::int64_t partial = options_.last_batch == LastBatch::keep ? options_.batch - 1 : 0;
  return (left + partial) / options_.batch;
}

void Loader::wait_idle(std::unique_lock<std::mutex>& lock) {
  cancelled_ = true;
  idle_.wait(lock, [&] { return busy_ == 0; });
  cancelled_ = false;
}

void Loader::start(std::int64_t epoch, std::int64_t offset) {
  DAYBREAK_ASSERT(epoch >= 0 && offset >= 0);
  {
    std::unique_lock lock(mutex_);
    ended_ = true;  // no new tasks
    next_chunk_ = chunk_count();
    wait_idle(lock);
    epoch_ = epoch;
    offset_ = offset;
    prepared_ = consumed_ = 0;
    holding_ = false;
    ended_ = false;
    for (Slot& slot : slots_) {
      slot.error = nullptr;
      slot.chunks_left = 0;
    }
  }
  work_.notify_all();
}

// The same for all batches of a group of size_every, whatever comes before.
std::size_t Loader::draw_size(std::int64_t epoch, std::int64_t offset) const {
  if (augmenters_.size() == 1) return 0;
  const std::int64_t group = offset / options_.batch / std::max(1, options_.size_every);
  Draws draws(options_.seed, Purpose::picture_size, static_cast<std::uint64_t>(epoch),
              static_cast<std::uint64_t>(group));
  return draws.below(static_cast<std::uint32_t>(augmenters_.size()));
}

bool Loader::prepare(Slot& slot) {
  const std::int64_t wanted = options_.last_batch == LastBatch::keep ? 1 : options_.batch;
  if (data_.size() - offset_ < wanted) {
    if (!options_.repeat) return false;
    ++epoch_;
    offset_ = 0;
  }
  if (order_epoch_ != epoch_) {
    epoch_order(data_.size(), options_.seed, epoch_, options_.shuffle, order_);
    order_epoch_ = epoch_;
  }
  Batch& batch = slot.batch;
  batch.epoch = epoch_;
  batch.offset = offset_;
  slot.augmenter = draw_size(epoch_, offset_);
  batch.height = augmenters_[slot.augmenter].options().height;
  batch.width = augmenters_[slot.augmenter].options().width;
  // Room for the largest size is there already.
  batch.images.resize(static_cast<std::size_t>(options_.batch) * batch.height * batch.width *
                      data_.channels());
  batch.count = static_cast<int>(std::min<std::int64_t>(options_.batch, data_.size() - offset_));
  for (int i = 0; i < options_.batch; ++i) {
    const std::int64_t at = offset_ + std::min(i, batch.count - 1);
    const std::int64_t sample = order_[static_cast<std::size_t>(at)];
    batch.indices[static_cast<std::size_t>(i)] = sample;
    batch.labels[static_cast<std::size_t>(i)] = data_.label(sample);
  }
  offset_ += batch.count;
  slot.chunks_left = chunk_count();
  slot.error = nullptr;
  return true;
}

void Loader::make_chunk(Slot& slot, int chunk, Scratch& scratch) {
  Batch& batch = slot.batch;
  const std::size_t bytes = static_cast<std::size_t>(batch.height) * batch.width * data_.channels();
  const Augmenter& augmenter = augmenters_[slot.augmenter];
  const int begin = chunk * chunk_;
  const int end = std::min(options_.batch, begin + chunk_);
  for (int i = begin; i < end; ++i) {
    const std::int64_t sample = batch.indices[static_cast<std::size_t>(i)];
    scratch.augment.ahead = {};
    if (i + 1 < end) {
      scratch.augment.ahead = data_.small_picture(batch.indices[static_cast<std::size_t>(i) + 1]);
    }
    const PictureView picture = data_.picture(sample, scratch.read);
    std::uint8_t* out = batch.images.data() + static_cast<std::size_t>(i) * bytes;
    if (!data_.has_boxes()) {
      augmenter.apply(picture, batch.epoch, sample, scratch.augment, out);
      continue;
    }
    scratch.boxes = data_.boxes(sample);
    augmenter.apply(picture, batch.epoch, sample, scratch.augment, out,
                    {&scratch.boxes, &data_, &scratch.read});
    write_boxes(scratch.boxes, i, batch);
  }
}

const Batch& Loader::next() {
  return threads_.empty() ? next_inline() : next_from_workers();
}

const Batch& Loader::next_inline() {
  Slot& slot = slots_[0];
  if (ended_ || !prepare(slot)) {
    ended_ = true;
    end_.epoch = epoch_;
    end_.offset = offset_;
    return end_;
  }
  parallel_for(chunk_count(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      try {
        make_chunk(slot, static_cast<int>(chunk), scratch_[static_cast<std::size_t>(chunk)]);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!slot.error || chunk < slot.error_chunk) {
          slot.error = std::current_exception();
          slot.error_chunk = static_cast<int>(chunk);
        }
      }
    }
  });
  if (slot.error) {
    ended_ = true;
    std::rethrow_exception(slot.error);
  }
  return slot.batch;
}

}  // namespace daybreak
