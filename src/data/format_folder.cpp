#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>

#include "core/error.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"
#include "data/picture_cache.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

// The extension in lower case, ASCII only: the locale is not asked.
std::string extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  std::string extension(name.substr(dot));
  for (char& ch : extension) {
    if (ch >= 'A' && ch <= 'Z') ch = static_cast<char>(ch - 'A' + 'a');
  }
  return extension;
}

// Names in a folder for which `wanted` holds, sorted by their bytes; hidden ones are left out.
template <typename Wanted>
std::vector<std::string> list_names(const std::string& dir, Wanted&& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name.empty() || name[0] == '.' || !wanted(*it)) continue;
    names.push_back(std::move(name));
  }
  if (error) throw DataError(printable(dir), fmt::format("cannot list: {}", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

bool is_dir(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.is_directory(error);
}

std::vector<std::string> list_dirs(const std::string& dir) {
  return list_names(dir, is_dir);
}

// What lies in a class folder without pictures, for its message.
std::string seen_in(const std::string& dir) {
  std::set<std::string> seen;
  std::size_t count = 0;
  for (const std::string& name : list_names(dir, [](const auto&) { return true; })) {
    ++count;
    const std::string extension = extension_of(name);
    if (seen.size() < 5) seen.insert(extension.empty() ? name : fmt::format("*{}", extension));
  }
  if (count == 0) return "it is empty";
  return fmt::format("{} entries seen: {}", count,
                     printable(fmt::format("{}", fmt::join(seen, ", "))));
}

std::string list_text(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 12;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", printable(names[i]));
  }
  return names.size() > kShown ? text + ", ..." : text;
}

// The classes are the folders of the training part, sorted, or the names of the descriptor.
std::vector<std::string> find_classes(const DataSpec& spec, const std::string& train_dir) {
  const std::vector<std::string> dirs = list_dirs(train_dir);
  if (dirs.empty()) {
    throw DataError(printable(train_dir),
                    "no class folders, expected one folder of pictures a class");
  }
  if (dirs.size() > static_cast<std::size_t>(limits::kMaxClasses)) {
    throw DataError(printable(train_dir), fmt::format("{} class folders, at most {} are accepted",
                                                      dirs.size(), limits::kMaxClasses));
  }
  if (spec.classes.empty()) return dirs;
  std::vector<std::string> named = spec.classes;
  std::sort(named.begin(), named.end());
  if (named != dirs) {
    throw DataError(printable(train_dir),
                    fmt::format("class folders {} are not the classes of the descriptor: {}",
                                list_text(dirs), list_text(named)));
  }
  return spec.classes;
}

struct Listing {
  std::vector<std::string> files;
  std::vector<std::int32_t> labels;
};

Listing list_part(const std::string& dir, const std::vector<std::string>& classes,
                  bool all_classes) {
  for (const std::string& name : list_dirs(dir)) {
    if (std::find(classes.begin(), classes.end(), name) == classes.end()) {
      throw DataError(
          printable(dir + "/" + name),
          fmt::format("is no class of the training part, which has {}", list_text(classes)));
    }
  }
  Listing listing;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const std::string class_dir = dir + "/" + classes[label];
    std::error_code error;
    if (!all_classes && !fs::is_directory(class_dir, error)) {
      spdlog::warn("data: {} has no pictures of class \"{}\"", printable(dir),
                   printable(classes[label]));
      continue;
    }
    auto names = list_names(class_dir, [](const fs::directory_entry& entry) {
      std::error_code ignored;
      return is_picture_name(entry.path().filename().string()) && !entry.is_directory(ignored);
    });
    if (names.empty()) {
      throw DataError(printable(class_dir),
                      fmt::format("class without pictures, expected *.jpg, *.jpeg or *.png; {}",
                                  seen_in(class_dir)));
    }
    listing.labels.insert(listing.labels.end(), names.size(), static_cast<std::int32_t>(label));
    std::move(names.begin(), names.end(), std::back_inserter(listing.files));
  }
  return listing;
}

std::shared_ptr<PictureStore> make_store(const SourceRequest& request, const std::string& dir,
                                         const std::vector<std::string>& classes, bool is_train,
                                         int limit) {
  Listing listing = list_part(dir, classes, /*all_classes=*/is_train);
  auto store = std::make_shared<PictureStore>();
  store->channels = request.input.channels;
  store->classes = classes;
  store->dirs = classes;
  store->root = dir;
  const auto chosen = balanced_limit(listing.labels, static_cast<int>(classes.size()), limit);
  for (const std::uint32_t at : chosen) {
    store->files.push_back(std::move(listing.files[at]));
    store->labels.push_back(listing.labels[at]);
  }
  return store;
}

void check_classes_left(const PictureStore& store) {
  std::vector<bool> seen(store.classes.size());
  for (const std::int32_t label : store.labels) seen[static_cast<std::size_t>(label)] = true;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i] && store.labels.size() >= seen.size()) {
      throw DataError(printable(store.root + "/" + store.dirs[i]),
                      "no usable picture of this class is left");
    }
  }
}

}  // namespace

bool is_picture_name(std::string_view name) {
  const std::string extension = extension_of(name);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

SourceParts open_folder(const SourceRequest& request) {
  const SourceSpec& source = request.source;
  const auto part_dir = [&](const std::string& name) { return request.dir + "/" + name; };
  const auto exists = [&](const std::string& name) {
    std::error_code error;
    return fs::is_directory(part_dir(name), error);
  };
  // Classes are those of the training part, so that a test alone numbers them alike.
  const bool has_train = exists(source.train);
  if (!has_train && (request.options.need_train || request.spec.classes.empty())) {
    throw DataError(printable(part_dir(source.train)),
                    fmt::format("no such folder; \"{}\" holds {}", printable(request.dir),
                                list_text(list_dirs(request.dir))));
  }
  const auto classes =
      has_train ? find_classes(request.spec, part_dir(source.train)) : request.spec.classes;
  SourceParts parts;
  if (request.options.need_train) {
    parts.train =
        make_store(request, part_dir(source.train), classes, true, request.spec.train_limit);
  }
  if (exists(source.val)) {
    parts.val = make_store(request, part_dir(source.val), classes, false, 0);
  }
  if (exists(source.test)) {
    parts.test =
        make_store(request, part_dir(source.test), classes, false, request.spec.test_limit);
  }
  std::int64_t total = 0;
  for (const auto& store : {parts.train, parts.val, parts.test}) {
    if (store) total += static_cast<std::int64_t>(store->files.size());
  }
  PictureCache cache(request.spec, request.input, request.options, total);
  for (const auto& store : {parts.train, parts.val, parts.test}) {
    if (store) cache.load(*store, *request.bad_inputs);
  }
  if (parts.train) check_classes_left(*parts.train);
  return parts;
}

}  // namespace daybreak
