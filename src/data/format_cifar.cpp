#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <filesystem>

#include "core/error.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/huge_pages.h"
#include "data/limits.h"

namespace daybreak {
namespace {

constexpr int kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;

// Planes R, G, B to interleaved pixels.
void interleave(const std::uint8_t* planes, std::uint8_t* pixels) {
  for (std::size_t i = 0; i < kPlane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + c] = planes[c * kPlane + i];
  }
}

struct FileSpec {
  std::string name;
  std::uint32_t records = 0;  // a full file has
};

struct SetSpec {
  std::string folder;  // of the published archive
  int label_bytes = 1, label_at = 0, classes = 10;
  std::vector<FileSpec> train, test;
  std::string names_file;
};

SetSpec set_spec(const SourceSpec& source) {
  if (source.format == DataFormat::cifar10) {
    SetSpec set{"cifar-10-batches-bin", 1, 0, 10, {}, {{"test_batch.bin", 10000}},
                "batches.meta.txt"};
    for (int i = 1; i <= 5; ++i) set.train.push_back({fmt::format("data_batch_{}.bin", i), 10000});
    return set;
  }
  const bool coarse = source.coarse_labels;
  return {"cifar-100-binary",
          2,
          coarse ? 0 : 1,
          coarse ? 20 : 100,
          {{"train.bin", 50000}},
          {{"test.bin", 10000}},
          coarse ? "coarse_label_names.txt" : "fine_label_names.txt"};
}

std::shared_ptr<PictureStore> open_part(const std::string& dir, const SetSpec& set,
                                        const std::vector<FileSpec>& files) {
  CifarRecords records;
  auto store = std::make_shared<PictureStore>();
  std::vector<std::uint8_t> bytes;
  for (const FileSpec& file : files) {
    const std::string path = dir + "/" + file.name;
    read_file(path, limits::kMaxSetFileBytes, bytes);
    const auto first = static_cast<std::uint32_t>(records.labels.size());
    read_cifar(bytes, path, set.label_bytes, set.label_at, set.classes, records);
    const std::size_t got = records.labels.size() - first;
    if (got < file.records) {
      spdlog::warn("{}: {} pictures, the published file has {}", printable(path), got,
                   file.records);
    }
    store->ranges.push_back({first, file.name});
  }
  store->channels = 3;
  store->in_memory = true;
  store->width = store->height = kSide;
  store->pixels = std::move(records.pixels);
  store->labels = std::move(records.labels);
  return store;
}

// One name a line, as published beside the data; blank lines at the end are dropped.
std::vector<std::string> read_names(const std::string& path) {
  std::vector<std::uint8_t> bytes;
  read_file(path, std::uint64_t{1} << 20, bytes);
  std::vector<std::string> names(1);
  for (const std::uint8_t byte : bytes) {
    if (byte == '\n') {
      names.emplace_back();
    } else if (byte != '\r') {
      names.back() += static_cast<char>(byte);
    }
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

std::vector<std::string> class_names(const DataSpec& spec, const std::string& dir,
                                     const SetSpec& set) {
  const auto expected = static_cast<std::size_t>(set.classes);
  if (!spec.classes.empty()) {
    if (spec.classes.size() == expected) return spec.classes;
    throw ConfigError(
        spec.mark, fmt::format("data \"{}\" names {} classes, but these files have {}", spec.name,
                               spec.classes.size(), expected));
  }
  const std::string path = dir + "/" + set.names_file;
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    std::vector<std::string> names = read_names(path);
    if (names.size() == expected) return names;
    spdlog::warn("{}: {} names, expected {}; the file is ignored", printable(path), names.size(),
                 expected);
  }
  if (set.classes == 10) {
    return {"airplane", "automobile", "bird",  "cat",  "deer",
            "dog",      "frog",       "horse", "ship", "truck"};
  }
  std::vector<std::string> names;
  for (int i = 0; i < set.classes; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

void read_cifar(std::span<const std::uint8_t> bytes, const std::string& path, int label_bytes,
                int label_at, int classes, CifarRecords& records) {
  const std::string shown = printable(path);
  const std::size_t record = static_cast<std::size_t>(label_bytes) + 3 * kPlane;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw DataError(
        shown, fmt::format("{} bytes is not a whole number of {}-byte records: {} records + {} "
                           "bytes; the file {}",
                           bytes.size(), record, bytes.size() / record, bytes.size() % record,
                           describe_start(bytes)));
  }
  const std::size_t count = bytes.size() / record;
  const std::size_t before = records.labels.size();
  records.labels.reserve(before + count);
  grow_in_huge_pages(records.pixels, (before + count) * 3 * kPlane);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* p = bytes.data() + i * record;
    if (p[label_at] >= classes) {
      throw DataError(
          shown, i * record + static_cast<std::size_t>(label_at),
          fmt::format("label {} of picture {} is out of range 0..{}", p[label_at], i, classes - 1));
    }
    records.labels.push_back(p[label_at]);
    interleave(p + label_bytes, records.pixels.data() + (before + i) * 3 * kPlane);
  }
}

SourceParts open_cifar(const SourceRequest& request) {
  const SetSpec set = set_spec(request.source);
  std::string dir = request.dir;
  std::error_code error;
  if (std::filesystem::is_directory(dir + "/" + set.folder, error)) dir += "/" + set.folder;
  SourceParts parts;
  parts.test = open_part(dir, set, set.test);
  if (request.options.need_train) parts.train = open_part(dir, set, set.train);
  const auto classes = class_names(request.spec, dir, set);
  for (const auto& store : {parts.train, parts.test}) {
    if (!store) continue;
    store->classes = classes;
    convert_store(*store, request.input.channels);
  }
  return parts;
}

}  // namespace daybreak
