#include "data/picture_cache.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "data/bytes.h"
#include "data/fit.h"
#include "data/huge_pages.h"
#include "data/limits.h"

namespace daybreak {
namespace {

constexpr std::int64_t kGrain = 16;          // files a chunk
constexpr std::int64_t kReportEvery = 2048;  // files between two calls of progress
constexpr std::size_t kProbeBytes = std::size_t{64} << 10;

std::string path_of(const PictureStore& store, std::int64_t i) {
  return store.path(static_cast<std::size_t>(i));
}

// Headers of large files are nearly always in their first bytes.
ImageInfo probe_file(const std::string& path, std::vector<std::uint8_t>& bytes) {
  const std::uint64_t size = read_file_start(path, kProbeBytes, bytes);
  if (size <= bytes.size()) return probe_image(bytes, path);
  try {
    return probe_image(bytes, path, /*complete=*/false);
  } catch (const DataError&) {
    read_file(path, limits::kMaxImageFileBytes, bytes);
    return probe_image(bytes, path);
  }
}

// Runs body(i) for [begin, end) on the compute team; what it throws as DataError becomes errors[i].
template <typename Body>
void for_files(std::int64_t begin, std::int64_t end, std::vector<std::string>& errors,
               Body&& body) {
  parallel_for(end - begin, kGrain, [&](std::int64_t from, std::int64_t to) {
    ReadScratch scratch;
    for (std::int64_t i = begin + from; i < begin + to; ++i) {
      std::string& error = errors[static_cast<std::size_t>(i)];
      if (!error.empty()) continue;
      try {
        body(i, scratch);
      } catch (const std::exception& caught) {
        error = caught.what();
      }
    }
  });
}

// Text of a DataError without the path it starts with.
std::string reason_of(const std::string& error, const std::string& path) {
  const std::string start = printable(path) + ": error: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}

std::uint64_t bytes_of(std::int64_t w, std::int64_t h, int channels) {
  return static_cast<std::uint64_t>(w * h * channels);  // both sides are at most 65,535
}

// Forgets the single sizes and offsets when all pictures are equal.
void merge_equal_sizes(PictureStore& store) {
  const auto all_equal = [](const std::vector<std::int32_t>& values) {
    return std::all_of(values.begin(), values.end(), [&](int value) { return value == values[0]; });
  };
  if (store.widths.empty() || !all_equal(store.widths) || !all_equal(store.heights)) return;
  store.width = store.widths[0];
  store.height = store.heights[0];
  store.widths.clear();
  store.heights.clear();
  store.offsets.clear();
}

// Makes room for pictures of these sizes, one after the other.
void lay_out(PictureStore& store, std::vector<std::int32_t> widths,
             std::vector<std::int32_t> heights) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    store.offsets.push_back(at);
    at += bytes_of(widths[i], heights[i], store.channels);
  }
  store.widths = std::move(widths);
  store.heights = std::move(heights);
  grow_in_huge_pages(store.pixels, static_cast<std::size_t>(at));
  store.in_memory = true;
}

// Moves what belongs to the sample at `from` to `to`, which is not behind it.
void move_sample(PictureStore& store, std::size_t from, std::size_t to, std::uint64_t to_byte) {
  if (store.in_memory) {
    std::memmove(store.pixels.data() + to_byte, store.pixels.data() + store.offsets[from],
                 bytes_of(store.widths[from], store.heights[from], store.channels));
    store.offsets[to] = to_byte;
    store.widths[to] = store.widths[from];
    store.heights[to] = store.heights[from];
  }
  if (from != to) store.files[to] = std::move(store.files[from]);
  if (from != to && store.has_boxes) {
    store.boxes[to] = std::move(store.boxes[from]);
    store.sizes[to] = store.sizes[from];
    if (!store.ids.empty()) store.ids[to] = store.ids[from];
  }
  store.labels[to] = store.labels[from];
}

}  // namespace

PictureCache::PictureCache(const DataSpec& spec, const InputSpec& input, const OpenOptions& options,
                           std::int64_t total_files)
    : spec_(spec), input_(input), options_(options), total_files_(total_files) {
  const std::uint64_t memory = available_memory();
  switch (spec.cache) {
    case CacheMode::none:
      bytes_left_ = 0;
      break;
    case CacheMode::host:
      bytes_left_ = memory / 10 * 9;
      break;
    case CacheMode::automatic:
      bytes_left_ = std::min(
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, spec.cache_bytes)), memory / 2);
      break;
  }
}

void PictureCache::report(std::int64_t done) const {
  if (options_.progress) options_.progress(done_files_ + done, total_files_);
}

PictureCache::Sizes PictureCache::probe(const PictureStore& store) const {
  const auto count = static_cast<std::int64_t>(store.files.size());
  Sizes sizes;
  sizes.widths.resize(store.files.size());
  sizes.heights.resize(store.files.size());
  sizes.errors.resize(store.files.size());
  for_files(0, count, sizes.errors, [&](std::int64_t i, ReadScratch& scratch) {
    const ImageInfo info = probe_file(path_of(store, i), scratch.file);
    sizes.widths[static_cast<std::size_t>(i)] = info.w;
    sizes.heights[static_cast<std::size_t>(i)] = info.h;
    if (!store.has_boxes) return;
    const auto [said_w, said_h] = store.sizes[static_cast<std::size_t>(i)];
    if (said_w > 0 && (said_w != info.w || said_h != info.h)) {
      throw DataError(
          printable(path_of(store, i)),
          fmt::format("is {} x {} pixels, its label says {} x {}", info.w, info.h, said_w, said_h));
    }
  });
  return sizes;
}

PictureCache::Keep PictureCache::choose(const PictureStore& store, const Sizes& sizes) const {
  if (spec_.cache == CacheMode::none) return Keep::nothing;
  std::uint64_t stored = 0;
  std::uint64_t fitted = 0;
  for (std::size_t i = 0; i < sizes.widths.size(); ++i) {
    if (!sizes.errors[i].empty()) continue;
    stored += bytes_of(sizes.widths[i], sizes.heights[i], store.channels);
    fitted += bytes_of(input_.width, input_.height, store.channels);
  }
  if (stored <= bytes_left_) return Keep::as_stored;
  // Boxes follow a picture from its own size.
  if (options_.cache_fitted && !store.has_boxes && fitted <= bytes_left_) return Keep::fitted;
  if (spec_.cache == CacheMode::host) {
    throw DeviceError(
        fmt::format("{}: cannot keep {} decoded pictures in memory: {} MiB needed, {} MiB free; "
                    "set \"data.cache: "
                    "none\"",
                    printable(store.root), store.files.size(), stored >> 20, bytes_left_ >> 20));
  }
  return Keep::nothing;
}

void PictureCache::decode(PictureStore& store, Sizes& sizes, Keep keep) {
  const bool fitted = keep == Keep::fitted;
  if (keep != Keep::nothing) {
    std::vector<std::int32_t> widths = sizes.widths;
    std::vector<std::int32_t> heights = sizes.heights;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (fitted) {
        widths[i] = input_.width;
        heights[i] = input_.height;
      }
      if (!sizes.errors[i].empty()) widths[i] = heights[i] = 0;  // takes no room
    }
    lay_out(store, std::move(widths), std::move(heights));
    bytes_left_ -= std::min<std::uint64_t>(bytes_left_, store.pixels.size());
  }
  const auto count = static_cast<std::int64_t>(store.files.size());
  for (std::int64_t begin = 0; begin < count; begin += kReportEvery) {
    const std::int64_t end = std::min(count, begin + kReportEvery);
    for_files(begin, end, sizes.errors, [&](std::int64_t i, ReadScratch& scratch) {
      const auto at = static_cast<std::size_t>(i);
      const std::string path = path_of(store, i);
      read_file(path, limits::kMaxImageFileBytes, scratch.file);
      decode_image(scratch.file, path, store.channels, scratch.image);
      const Image& image = scratch.image;
      if (image.w != sizes.widths[at] || image.h != sizes.heights[at]) {
        throw DataError(printable(path), "the file changed while it was read");
      }
      if (keep == Keep::nothing) return;
      std::uint8_t* target = store.pixels.data() + store.offsets[at];
      if (fitted) {
        fit_picture(image.view(), input_.width, input_.height, input_.rule(), target);
      } else {
        std::memcpy(target, image.hwc.data(), image.hwc.size());
      }
    });
    report(end);
  }
}

void PictureCache::drop_bad(PictureStore& store, const Sizes& sizes,
                            std::vector<BadInput>& bad_inputs) const {
  std::size_t bad = 0;
  std::size_t first = 0;
  for (std::size_t i = sizes.errors.size(); i-- > 0;) {
    if (sizes.errors[i].empty()) continue;
    ++bad;
    first = i;
  }
  if (bad == 0) return;
  const std::size_t all = sizes.errors.size();
  if (spec_.on_error == OnError::error) {
    throw DataError(
        fmt::format("{} ({} bad picture{} of {}; replace {}, or set \"data.on_error: "
                    "skip\" to leave {} out)",
                    sizes.errors[first], bad, bad == 1 ? "" : "s", all, bad == 1 ? "it" : "them",
                    bad == 1 ? "it" : "them"));
  }
  if (static_cast<double>(bad) > spec_.max_skipped * static_cast<double>(all)) {
    throw DataError(
        fmt::format("{} ({} bad pictures of {}, more than the share of {} that "
                    "\"data.max_skipped\" accepts)",
                    sizes.errors[first], bad, all, spec_.max_skipped));
  }
  std::uint64_t bytes = 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all; ++i) {
    if (!sizes.errors[i].empty()) {
      const std::string path = path_of(store, static_cast<std::int64_t>(i));
      bad_inputs.push_back({path, reason_of(sizes.errors[i], path)});
      spdlog::warn("data: left out {}", sizes.errors[i]);
      continue;
    }
    move_sample(store, i, kept, bytes);
    if (store.in_memory) bytes += bytes_of(store.widths[kept], store.heights[kept], store.channels);
    ++kept;
  }
  store.files.resize(kept);
  store.labels.resize(kept);
  if (store.has_boxes) {
    store.boxes.resize(kept);
    store.sizes.resize(kept);
    if (!store.ids.empty()) store.ids.resize(kept);
  }
  if (!store.in_memory) return;
  store.pixels.resize(bytes);
  store.offsets.resize(kept);
  store.widths.resize(kept);
  store.heights.resize(kept);
}

void PictureCache::load(PictureStore& store, std::vector<BadInput>& bad_inputs) {
  Sizes sizes = probe(store);
  for (std::size_t i = 0; store.has_boxes && i < sizes.widths.size(); ++i) {
    store.sizes[i] = {sizes.widths[i], sizes.heights[i]};
  }
  if (spec_.on_error == OnError::error) drop_bad(store, sizes, bad_inputs);  // before the long part
  const Keep keep = choose(store, sizes);
  // Without a cache only `skip` must know all bad files now; else they show when they are used.
  if (keep != Keep::nothing || spec_.on_error == OnError::skip) decode(store, sizes, keep);
  drop_bad(store, sizes, bad_inputs);
  merge_equal_sizes(store);
  done_files_ += static_cast<std::int64_t>(sizes.errors.size());
  report(0);
}

}  // namespace daybreak
