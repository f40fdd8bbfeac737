#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "data/bytes.h"
#include "data/limits.h"

namespace daybreak {

std::string PictureStore::path(std::size_t i) const {
  const std::string& file = files[i];
  if (!file.empty() && file[0] == '/') return file;
  if (dirs.empty()) return root + "/" + file;
  return root + "/" + dirs[static_cast<std::size_t>(labels[i])] + "/" + file;
}

Dataset::Dataset(std::shared_ptr<const PictureStore> store)
    : store_(std::move(store)), samples_(store_->labels.size()) {
  std::iota(samples_.begin(), samples_.end(), 0u);
}

Dataset Dataset::subset(const std::vector<std::uint32_t>& positions) const {
  Dataset result;
  result.store_ = store_;
  result.samples_.reserve(positions.size());
  for (const std::uint32_t position : positions) result.samples_.push_back(samples_.at(position));
  return result;
}

std::string Dataset::name(std::int64_t i) const {
  const std::uint32_t at = samples_.at(static_cast<std::size_t>(i));
  if (!store_->files.empty()) return store_->path(at);
  const auto after = std::upper_bound(
      store_->ranges.begin(), store_->ranges.end(), at,
      [](std::uint32_t position, const SampleRange& range) { return position < range.first; });
  if (after == store_->ranges.begin()) return fmt::format("[{}]", at);
  const SampleRange& range = *(after - 1);
  return fmt::format("{}[{}]", range.file, at - range.first);
}

std::vector<std::int64_t> Dataset::class_sizes() const {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(class_count()));
  for (std::int64_t i = 0; i < size(); ++i) {
    if (!has_boxes()) {
      ++sizes[static_cast<std::size_t>(label(i))];
      continue;
    }
    for (const LabelBox& box : boxes(i)) ++sizes[static_cast<std::size_t>(box.category)];
  }
  return sizes;
}

std::int64_t Dataset::picture_id(std::int64_t i) const {
  return store_->ids.empty() ? i : store_->ids[samples_.at(static_cast<std::size_t>(i))];
}

int Dataset::most_boxes() const {
  std::size_t most = 0;
  for (std::int64_t i = 0; has_boxes() && i < size(); ++i) most = std::max(most, boxes(i).size());
  return static_cast<int>(most);
}

PictureView Dataset::picture(std::int64_t i, ReadScratch& scratch) const {
  const std::uint32_t at = samples_[static_cast<std::size_t>(i)];
  const PictureStore& store = *store_;
  if (store.in_memory) {
    if (store.offsets.empty()) {
      const std::size_t bytes =
          static_cast<std::size_t>(store.width) * store.height * store.channels;
      return {store.pixels.data() + at * bytes, store.width, store.height, store.channels};
    }
    return {store.pixels.data() + store.offsets[at], store.widths[at], store.heights[at],
            store.channels};
  }
  const std::string path = name(i);
  read_file(path, limits::kMaxImageFileBytes, scratch.file);
  decode_image(scratch.file, path, store.channels, scratch.image);
  return scratch.image.view();
}

std::span<const std::uint8_t> Dataset::small_picture(std::int64_t i) const {
  constexpr std::size_t kSmall = 4096;
  const PictureStore& store = *store_;
  const std::size_t bytes = static_cast<std::size_t>(store.width) * store.height * store.channels;
  if (!store.in_memory || !store.offsets.empty() || bytes > kSmall) return {};
  return {store.pixels.data() + samples_[static_cast<std::size_t>(i)] * bytes, bytes};
}

Image Dataset::load(std::int64_t i) const {
  ReadScratch scratch;
  const PictureView view = picture(i, scratch);
  if (view.pixels == scratch.image.hwc.data()) return std::move(scratch.image);
  Image copy;
  copy.reshape(view.w, view.h, view.c);
  std::memcpy(copy.hwc.data(), view.pixels, copy.hwc.size());
  return copy;
}

}  // namespace daybreak
