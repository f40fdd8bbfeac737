#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "config/yaml_reader.h"
#include "core/error.h"
#include "core/text.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

constexpr double kSlack = 1e-3;  // of a picture's side: what rounding may put outside

std::vector<std::string_view> tokens_of(std::string_view line) {
  std::vector<std::string_view> tokens;
  const auto is_space = [](char ch) { return ch == ' ' || ch == '\t' || ch == '\r'; };
  for (std::size_t at = 0; at < line.size();) {
    if (is_space(line[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < line.size() && !is_space(line[end])) ++end;
    tokens.push_back(line.substr(at, end - at));
    at = end;
  }
  return tokens;
}

// The numbers behind the class, or nothing and a message.
std::optional<std::vector<double>> numbers_of(const std::vector<std::string_view>& tokens,
                                              const std::string& place, LabelPolicy& policy) {
  std::vector<double> numbers;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const auto number = parse_double(tokens[i]);
    if (!number) {
      policy.bad(place, fmt::format("field {} is {}, expected a number", i + 1, quote(tokens[i])));
      return std::nullopt;
    }
    numbers.push_back(*number);
  }
  return numbers;
}

Corners corners_of(const std::vector<double>& n) {
  if (n.size() == 4) {
    return {n[0] - 0.5 * n[2], n[1] - 0.5 * n[3], n[0] + 0.5 * n[2], n[1] + 0.5 * n[3]};
  }
  Corners corners{n[0], n[1], n[0], n[1]};
  for (std::size_t i = 2; i < n.size(); i += 2) {
    corners.x0 = std::min(corners.x0, n[i]);
    corners.x1 = std::max(corners.x1, n[i]);
    corners.y0 = std::min(corners.y0, n[i + 1]);
    corners.y1 = std::max(corners.y1, n[i + 1]);
  }
  return corners;
}

// One line; false when it gives no box.
bool read_line(std::string_view line, const std::string& place,
               const std::vector<std::string>& classes, bool polygons, LabelPolicy& policy,
               LabelBox& label) {
  const std::vector<std::string_view> tokens = tokens_of(line);
  if (tokens.empty()) return false;
  const bool is_polygon = tokens.size() >= 7 && tokens.size() % 2 == 1;
  if (tokens.size() != 5 && !(polygons && is_polygon)) {
    policy.bad(place, fmt::format("{} fields, expected 5: class, center x, center y, width, "
                                  "height{}",
                                  tokens.size(),
                                  is_polygon ? " (for polygons, set \"polygons: box\")" : ""));
    return false;
  }
  const auto category = parse_int(tokens[0]);
  if (!category || *category < 0 || *category >= static_cast<std::int64_t>(classes.size())) {
    policy.unknown_class(place, quote(tokens[0]), classes);
    return false;
  }
  const auto numbers = numbers_of(tokens, place, policy);
  if (!numbers) return false;
  label.category = static_cast<int>(*category);
  return policy.make_box(corners_of(*numbers), 1.0, 1.0, kSlack, place, label.box);
}

bool same_box(const LabelBox& a, const LabelBox& b) {
  return a.category == b.category && a.box == b.box;
}

// ---- data.yaml ----------------------------------------------------------------------------------

struct Description {
  std::string path;
  Node root;
  std::string base;  // folder that the parts are relative to
  std::vector<std::string> classes;

  [[noreturn]] void fail(const Node& node, const std::string& text) const {
    throw DataError(node.mark.to_string(), text);
  }
};

// `names: [a, b]` or `names: {0: a, 1: b}`.
std::vector<std::string> read_names(const Description& description, const Node& names) {
  std::vector<std::string> classes;
  if (names.is_list()) {
    for (const Node& name : names.items) {
      if (!name.is_scalar()) description.fail(name, "names: expected a name");
      classes.push_back(name.text);
    }
  } else if (names.is_map()) {
    classes.resize(names.entries.size());
    std::vector<bool> seen(classes.size());
    for (const NodeEntry& entry : names.entries) {
      const auto number = parse_int(entry.key);
      const bool in_range =
          number && *number >= 0 && *number < static_cast<std::int64_t>(classes.size());
      if (!in_range || !entry.value.is_scalar()) {
        description.fail(entry.value,
                         fmt::format("names: key {} must be a number in 0..{}, with a name behind "
                                     "it",
                                     quote(entry.key), classes.size() - 1));
      }
      classes[static_cast<std::size_t>(*number)] = entry.value.text;
      seen[static_cast<std::size_t>(*number)] = true;
    }
    if (std::find(seen.begin(), seen.end(), false) != seen.end()) {
      description.fail(names, "names: a number is missing");
    }
  } else {
    description.fail(names, "names: expected a list, or a map from numbers to names");
  }
  if (classes.empty() || classes.size() > static_cast<std::size_t>(limits::kMaxClasses)) {
    description.fail(names, fmt::format("names: {} classes", classes.size()));
  }
  return classes;
}

bool is_dir(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Description read_description(const SourceRequest& request) {
  Description description;
  description.path = request.dir + "/" + request.source.file;
  std::vector<std::uint8_t> bytes;
  read_file(description.path, yaml_limits::kFileBytes, bytes);
  Diagnostics diagnostics;
  description.root = read_yaml({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                               description.path, diagnostics);
  if (!diagnostics.empty()) {
    const Diagnostic first = diagnostics.sorted().front();
    throw DataError(first.mark.to_string(), first.text);
  }
  const Node* names = description.root.find("names");
  if (!names) throw DataError(printable(description.path), "has no \"names\"");
  description.classes = read_names(description, *names);
  const Node* count = description.root.find("nc");
  if (count && count->text != std::to_string(description.classes.size())) {
    description.fail(*count, fmt::format("nc is {}, but there are {} names", quote(count->text),
                                         description.classes.size()));
  }
  if (!request.spec.classes.empty() && request.spec.classes != description.classes) {
    description.fail(*names, "the names are not the classes of the data descriptor");
  }
  // `path` is often that of the machine the set was made on: then the file's own folder.
  description.base = fs::path(description.path).parent_path().string();
  const Node* path = description.root.find("path");
  if (path && path->is_scalar() && !path->text.empty()) {
    const fs::path named(path->text);
    const std::string folder =
        (named.is_absolute() ? named : fs::path(description.base) / named).string();
    if (is_dir(folder)) description.base = folder;
  }
  return description;
}

// ---- pictures of a part -------------------------------------------------------------------------

struct Listing {
  std::vector<std::string> pictures;
  std::vector<std::string> folders;  // listed whole: a label without a picture is an error there
};

// Names below a folder for which `wanted` holds, as paths, sorted by their bytes.
template <typename Wanted>
std::vector<std::string> list_below(const std::string& dir, Wanted&& wanted) {
  constexpr int kDeepest = 16;
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator it(dir, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() > kDeepest) it.disable_recursion_pending();
    std::error_code ignored;
    const std::string name = it->path().filename().string();
    if (name[0] != '.' && wanted(name) && !it->is_directory(ignored)) {
      paths.push_back(it->path().string());
    }
  }
  if (error) throw DataError(printable(dir), fmt::format("cannot list: {}", error.message()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The lines of a list are relative to it or to the set's folder.
void read_list(const std::string& list, const std::string& base, Listing& listing) {
  const std::string beside = fs::path(list).parent_path().string();
  for_lines(list, [&](std::int64_t, std::string_view line) {
    const fs::path path(line);
    if (path.is_absolute()) {
      listing.pictures.emplace_back(line);
      return;
    }
    const std::string near = (fs::path(beside) / path).lexically_normal().string();
    const std::string below = (fs::path(base) / path).lexically_normal().string();
    listing.pictures.push_back(exists(near) || !exists(below) ? near : below);
  });
}

void list_entry(const Description& description, const Node& entry, Listing& listing) {
  if (!entry.is_scalar() || entry.text.empty()) {
    description.fail(entry, "expected a folder or a list of pictures (.txt)");
  }
  const fs::path named(entry.text);
  std::string path = (named.is_absolute() ? named : fs::path(description.base) / named)
                         .lexically_normal()
                         .string();
  if (!exists(path) && entry.text.starts_with("../")) {  // as some exporters write it
    path = description.base + "/" + entry.text.substr(3);
  }
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (is_dir(path)) {
    auto found = list_below(path, [](const std::string& name) { return is_picture_name(name); });
    if (found.empty())
      description.fail(entry, fmt::format("no *.jpg, *.jpeg or *.png in {}", printable(path)));
    listing.pictures.insert(listing.pictures.end(), found.begin(), found.end());
    listing.folders.push_back(path);
  } else if (exists(path)) {
    read_list(path, description.base, listing);
  } else {
    description.fail(entry, fmt::format("no such folder or list: {}", printable(path)));
  }
}

Listing list_part(const Description& description, const Node& part) {
  Listing listing;
  if (part.is_list()) {
    for (const Node& entry : part.items) list_entry(description, entry, listing);
  } else {
    list_entry(description, part, listing);
  }
  if (listing.pictures.empty()) description.fail(part, "names no picture");
  return listing;
}

void report_orphans(const Listing& listing, LabelPolicy& policy) {
  std::unordered_set<std::string> expected;
  for (const std::string& picture : listing.pictures) expected.insert(yolo_label_path(picture));
  std::set<std::string> folders;
  for (const std::string& folder : listing.folders) {
    folders.insert(fs::path(yolo_label_path(folder + "/x.jpg")).parent_path().string());
  }
  for (const std::string& folder : folders) {
    if (!is_dir(folder)) continue;
    const auto is_label = [](const std::string& name) {
      return name.ends_with(".txt") && name != "classes.txt";
    };
    for (const std::string& label : list_below(folder, is_label)) {
      if (!expected.contains(label)) policy.bad(printable(label), "is a label without a picture");
    }
  }
}

std::shared_ptr<PictureStore> open_part(const SourceRequest& request,
                                        const Description& description, const char* name,
                                        int limit) {
  const Node* part = description.root.find(name);
  if (!part || part->is_null() || (part->is_scalar() && part->text.empty())) return nullptr;
  Listing listing = list_part(description, *part);
  report_orphans(listing, *request.labels);
  if (limit > 0 && listing.pictures.size() > static_cast<std::size_t>(limit)) {
    listing.pictures.resize(static_cast<std::size_t>(limit));
  }
  auto store = detection_store(request, description.base, description.classes);
  std::size_t without = 0;
  std::vector<std::uint8_t> bytes;
  std::unordered_map<std::string, std::string> picture_of;  // by label
  for (std::string& picture : listing.pictures) {
    const std::string label = yolo_label_path(picture);
    const auto [known, is_new] = picture_of.emplace(label, picture);
    if (!is_new && known->second != picture) {
      throw DataError(printable(label),
                      fmt::format("would be the label of both {} and {}; rename one of them",
                                  printable(known->second), printable(picture)));
    }
    std::vector<LabelBox> boxes;
    if (exists(label)) {
      read_file(label, limits::kMaxLabelFileBytes, bytes);
      boxes = read_yolo_labels({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, label,
                               description.classes, request.source.polygons, *request.labels);
    } else {
      ++without;
    }
    if (boxes.empty()) ++request.labels->background;
    store->boxes.push_back(std::move(boxes));
    store->files.push_back(fs::absolute(picture).string());
  }
  if (without == store->files.size()) {
    throw DataError(printable(yolo_label_path(store->files.front())),
                    fmt::format("is not there, nor is any other label of the {} pictures of {}",
                                without, part->mark.to_string()));
  }
  return store;
}

}  // namespace

std::string yolo_label_path(const std::string& picture) {
  std::string path = picture;
  const std::size_t folder = path.rfind("/images/");
  if (folder != std::string::npos) path.replace(folder, 8, "/labels/");
  const std::size_t dot = path.rfind('.');
  if (dot != std::string::npos && path.find('/', dot) == std::string::npos) path.resize(dot);
  return path + ".txt";
}

std::vector<LabelBox> read_yolo_labels(std::string_view text, const std::string& path,
                                       const std::vector<std::string>& classes, bool polygons,
                                       LabelPolicy& policy) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<LabelBox> boxes;
  std::int64_t line = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string place = at_line(path, ++line);
    LabelBox label;
    if (read_line(text.substr(0, end), place, classes, polygons, policy, label)) {
      const bool repeated = std::any_of(boxes.begin(), boxes.end(), [&](const LabelBox& other) {
        return same_box(other, label);
      });
      if (repeated) {
        ++policy.duplicates;
      } else {
        boxes.push_back(label);
        LabelPolicy::check_count(boxes.size(), place);
      }
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return boxes;
}

SourceParts open_yolo(const SourceRequest& request) {
  const Description description = read_description(request);
  SourceParts parts;
  if (request.options.need_train) {
    parts.train = open_part(request, description, "train", request.spec.train_limit);
    if (!parts.train) throw DataError(printable(description.path), "has no \"train\"");
  }
  parts.val = open_part(request, description, "val", 0);
  parts.test = open_part(request, description, "test", request.spec.test_limit);
  load_detection(request, parts);
  return parts;
}

}  // namespace daybreak
