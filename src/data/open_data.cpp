#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "data/bytes.h"
#include "data/dataset.h"
#include "data/formats.h"
#include "data/split.h"

namespace daybreak {

void convert_store(PictureStore& store, int want) {
  if (store.channels == want) return;
  DAYBREAK_ASSERT(store.in_memory && store.offsets.empty());
  const std::size_t pixels = store.pixels.size() / static_cast<std::size_t>(store.channels);
  std::vector<std::uint8_t> converted(pixels * static_cast<std::size_t>(want));
  const std::size_t plane = static_cast<std::size_t>(store.width) * store.height;
  for (std::size_t i = 0; i < store.labels.size(); ++i) {
    const PictureView view{store.pixels.data() + i * plane * store.channels, store.width,
                           store.height, store.channels};
    convert_channels(view, want, converted.data() + i * plane * want);
  }
  store.pixels = std::move(converted);
  store.channels = want;
}

namespace {

// "${NAME}" becomes the variable's value; nothing when a variable is not set or the text is
// malformed.
std::optional<std::string> expand_environment(const std::string& text) {
  std::string result;
  std::size_t at = 0;
  while (true) {
    const std::size_t start = text.find("${", at);
    if (start == std::string::npos) return result + text.substr(at);
    const std::size_t end = text.find('}', start);
    if (end == std::string::npos) return std::nullopt;
    const std::string name = text.substr(start + 2, end - start - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    result += text.substr(at, start - at) + value;
    at = end + 1;
  }
}

// The folder of a source if it exists. Relative ones are relative to the file that names them.
std::optional<std::string> existing_dir(const SourceSpec& source) {
  const auto dir = expand_environment(source.dir);
  if (!dir || dir->empty()) return std::nullopt;
  const std::filesystem::path path(*dir);
  std::error_code error;
  if (path.is_relative() && !source.mark.file.empty()) {
    const auto beside = std::filesystem::path(source.mark.file).parent_path() / path;
    if (std::filesystem::is_directory(beside, error)) return beside.string();
  }
  if (std::filesystem::is_directory(path, error)) return *dir;
  return std::nullopt;
}

struct Chosen {
  const SourceSpec* source = nullptr;
  std::string dir;
};

Chosen choose_source(const DataSpec& spec) {
  std::string tried;
  for (const SourceSpec& source : spec.sources) {
    if (source.format == DataFormat::synthetic) return {&source, ""};
    if (auto dir = existing_dir(source)) return {&source, std::move(*dir)};
    tried += fmt::format("{}\"{}\"", tried.empty() ? "" : ", ", printable(source.dir));
  }
  const std::string place = spec.mark.file.empty() ? "daybreak" : spec.mark.to_string();
  std::string text =
      spec.sources.empty()
          ? fmt::format("data \"{}\" names no source", printable(spec.name))
          : fmt::format("data \"{}\" was not found; tried {}", printable(spec.name), tried);
  if (!spec.install.empty()) text += fmt::format("; to install it: {}", spec.install);
  throw DataError(place, text);
}

void check_request(const DataSpec& spec, const InputSpec& input, const Chosen& chosen) {
  const bool synthetic = chosen.source->format == DataFormat::synthetic;
  const bool possible = synthetic ? input.channels >= 1 && input.channels <= 4
                                  : input.channels == 1 || input.channels == 3;
  if (!possible) {
    throw ConfigError(input.mark, fmt::format("{} pictures have {} channels, the input asks for {}",
                                              synthetic ? "synthetic" : "decoded",
                                              synthetic ? "1 to 4" : "1 or 3", input.channels));
  }
  const SplitSpec& split = spec.split;
  if (split.fraction < 0 || split.fraction >= 1) {
    throw ConfigError(spec.mark, fmt::format("split: fraction {} is outside 0..1", split.fraction));
  }
  if (split.folds < 0 || split.folds == 1 || split.fold < 0 ||
      (split.folds > 1 && split.fold >= split.folds)) {
    throw ConfigError(spec.mark, fmt::format("split: no fold {} of {}", split.fold, split.folds));
  }
}

SourceParts open_source(const SourceRequest& request) {
  switch (request.source.format) {
    case DataFormat::idx:
      return open_idx(request);
    case DataFormat::cifar10:
    case DataFormat::cifar100:
      return open_cifar(request);
    case DataFormat::folder:
      return open_folder(request);
    case DataFormat::yolo:
      return open_yolo(request);
    case DataFormat::voc:
      return open_voc(request);
    case DataFormat::coco:
      return open_coco(request);
    case DataFormat::synthetic:
      break;
  }
  return open_synthetic(request);
}

Dataset limited(const std::shared_ptr<PictureStore>& store, std::int64_t limit) {
  if (!store) return {};
  const auto positions =
      balanced_limit(store->labels, static_cast<int>(store->classes.size()), limit);
  return Dataset(store).subset(positions);
}

std::vector<std::int32_t> labels_of(const Dataset& data) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < data.size(); ++i) labels.push_back(data.label(i));
  return labels;
}

void split_train(const DataSpec& spec, DataParts& parts) {
  if (spec.split.fraction <= 0 && spec.split.folds <= 0) return;
  if (!parts.val.empty()) {
    throw ConfigError(spec.mark,
                      fmt::format("data \"{}\" brings its own validation part ({} pictures); "
                                  "remove \"split\"",
                                  spec.name, parts.val.size()));
  }
  const Split split = make_split(labels_of(parts.train), parts.train.class_count(), spec.split);
  if (split.val.empty() || split.train.empty()) {
    throw DataError(printable(parts.source),
                    fmt::format("the split leaves {} training and {} validation pictures of {}",
                                split.train.size(), split.val.size(), parts.train.size()));
  }
  const Dataset all = parts.train;
  parts.train = all.subset(split.train);
  parts.val = all.subset(split.val);
}

void warn_empty_classes(const Dataset& train) {
  constexpr std::size_t kShown = 8;
  const std::vector<std::int64_t> sizes = train.class_sizes();
  std::size_t empty = 0;
  std::string names;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 0) continue;
    if (empty++ < kShown) {
      names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", printable(train.classes()[i]));
    }
  }
  if (empty == 0) return;
  spdlog::warn("data: {} of {} classes have no training {}: {}{}", empty, sizes.size(),
               train.has_boxes() ? "box" : "picture", names, empty > kShown ? ", ..." : "");
}

void warn_bad_labels(const DataParts& parts) {
  constexpr std::size_t kShown = 10;
  if (parts.bad_label_count == 0) return;
  for (std::size_t i = 0; i < parts.bad_labels.size() && i < kShown; ++i) {
    spdlog::warn("data: left out {}: {}", parts.bad_labels[i].path, parts.bad_labels[i].reason);
  }
  spdlog::warn("data: {} could not be used and left out",
               parts.bad_label_count == 1 ? std::string("1 box")
                                          : fmt::format("{} boxes", parts.bad_label_count));
}

}  // namespace

DataParts open_data(const DataSpec& spec, const InputSpec& input, const OpenOptions& options) {
  const Chosen chosen = choose_source(spec);
  check_request(spec, input, chosen);
  DataParts parts;
  parts.source = chosen.source->format == DataFormat::synthetic ? "synthetic" : chosen.dir;
  spdlog::info("data: {} from {}", printable(spec.name), printable(parts.source));
  LabelPolicy labels(spec.on_bad_label);
  const SourceParts opened =
      open_source({spec, *chosen.source, input, options, chosen.dir, &parts.bad_inputs, &labels});
  labels.move_to(parts);
  parts.train = limited(opened.train, spec.train_limit);
  parts.val = limited(opened.val, 0);
  parts.test = limited(opened.test, spec.test_limit);
  if (options.need_train) split_train(spec, parts);
  if (parts.test.empty()) {
    if (parts.val.empty()) {
      throw DataError(printable(parts.source),
                      fmt::format("no test part: no \"{}\" or \"{}\"; add one, or take a "
                                  "validation part with \"split\"",
                                  chosen.source->test, chosen.source->val));
    }
    spdlog::warn("data: no test part, the validation part is used as such");
    parts.test = parts.val;
  }
  if (!parts.train.empty()) warn_empty_classes(parts.train);
  if (!parts.bad_inputs.empty()) {
    spdlog::warn("data: {} pictures could not be used and were left out", parts.bad_inputs.size());
  }
  warn_bad_labels(parts);
  return parts;
}

}  // namespace daybreak
