#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/text.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kSlack = 1.0;  // pixels: what rounding may put outside

/// Reads bytes for the parser and tells how far it is: the parser gives no places.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor() = default;
  Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_ = nullptr;
  const char** seen_ = nullptr;
};

struct Position {
  int line = 1, column = 1;
};

/// Lines and columns of bytes that are asked for in ascending order.
class LineCounter {
 public:
  explicit LineCounter(const char* text) : line_start_(text), counted_(text) {}

  Position at(const char* byte) {
    for (; counted_ < byte; ++counted_) {
      if (*counted_ != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
    return {line_, static_cast<int>(byte - line_start_) + 1};
  }

 private:
  const char* line_start_;
  const char* counted_;
  int line_ = 1;
};

struct RawBox {
  std::int64_t id = 0, image = 0, category = 0;
  std::array<double, 4> box{};  // left, top, width, height
  double area = 0.0;
  bool crowd = false;
  Position position;  // of its "{", for messages
};

/// Takes what is needed out of the parser's events; everything else passes by.
class Handler : public nlohmann::json_sax<json> {
 public:
  Handler(std::string_view text, const std::string& path)
      : text_(text), path_(path), seen_(text.data()), lines_(text.data()) {}

  std::vector<CocoCategory> categories;
  std::vector<CocoImage> images;
  std::vector<RawBox> boxes;

  const char** seen() { return &seen_; }
  /// PATH:LINE:COLUMN.
  std::string place(const Position& position) const {
    return fmt::format("{}:{}:{}", printable(path_), position.line, position.column);
  }

  bool null() override { return other("null"); }
  bool boolean(bool value) override { return integer(value ? 1 : 0); }
  bool number_integer(number_integer_t value) override { return integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return number_float(static_cast<double>(value), "");
    }
    return integer(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (in_box()) return edge(value);
    if (depth_ == 3 && field_ == Field::area) return set(area_, value);
    return other("a fraction or a number beyond 64 bits");
  }
  bool string(string_t& value) override {
    if (depth_ == 3 && field_ == Field::name) return set(name_, value);
    return other("text");
  }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    if (!enter()) return false;
    if (depth_ == 3) start_record();
    return true;
  }
  bool key(string_t& key) override {
    if (depth_ == 1) {
      section_ = section_of(key);
    } else if (depth_ == 3) {
      return choose_field(key);
    }
    return true;
  }
  bool end_object() override {
    if (depth_ == 3) finish_record();
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (!enter()) return false;
    if (depth_ == 1) fail("expected a map with \"images\", \"annotations\" and \"categories\"");
    if (depth_ == 4 && field_ == Field::box) {
      mark(Field::box);
      edges_ = 0;
    } else if (depth_ == 4 && field_ != Field::none) {
      return other("a list");
    }
    return true;
  }
  bool end_array() override {
    if (in_box() && edges_ != 4) fail(fmt::format("bbox has {} numbers, expected 4", edges_));
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token,
                   const json::exception&) override {
    const std::size_t at = std::min(position == 0 ? 0 : position - 1, text_.size());
    const std::string found = token.empty() ? "the end of the file" : quote(token);
    throw DataError(place(LineCounter(text_.data()).at(text_.data() + at)),
                    fmt::format("not valid JSON at {} (NaN and Infinity are not JSON, a "
                                "cut file ends early)",
                                found));
  }

 private:
  enum class Section : std::uint8_t { none, images, annotations, categories };
  enum class Field : std::uint8_t {
    none,
    id,
    image,
    category,
    box,
    area,
    crowd,
    name,
    width,
    height
  };

  [[noreturn]] void fail(const std::string& text) const {
    throw DataError(place(LineCounter(text_.data()).at(seen_)), text);
  }

  bool enter() {
    if (++depth_ > limits::kMaxJsonDepth) {
      fail(fmt::format("more than {} levels of lists and maps", limits::kMaxJsonDepth));
    }
    return true;
  }
  bool in_box() const { return depth_ == 4 && field_ == Field::box; }

  static Section section_of(const std::string& key) {
    if (key == "images") return Section::images;
    if (key == "annotations") return Section::annotations;
    return key == "categories" ? Section::categories : Section::none;
  }

  bool choose_field(const std::string& key) {
    field_ = Field::none;
    if (section_ == Section::none) return true;
    if (key == "id") field_ = Field::id;
    if (section_ == Section::categories && key == "name") field_ = Field::name;
    if (section_ == Section::images) {
      if (key == "file_name") field_ = Field::name;
      if (key == "width") field_ = Field::width;
      if (key == "height") field_ = Field::height;
    }
    if (section_ == Section::annotations) {
      if (key == "image_id") field_ = Field::image;
      if (key == "category_id") field_ = Field::category;
      if (key == "bbox") field_ = Field::box;
      if (key == "area") field_ = Field::area;
      if (key == "iscrowd") field_ = Field::crowd;
    }
    return true;
  }

  void start_record() {
    start_ = lines_.at(seen_ > text_.data() ? seen_ - 1 : seen_);
    given_ = 0;
    field_ = Field::none;
    numbers_ = {};
    area_ = 0.0;
    name_.clear();
  }

  static unsigned bit(Field field) { return 1u << static_cast<unsigned>(field); }
  void mark(Field field) {
    if (given_ & bit(field)) fail("the same key stands twice in one map");
    given_ |= bit(field);
  }

  template <typename T>
  bool set(T& target, const T& value) {
    mark(field_);
    target = value;
    return true;
  }
  bool integer(std::int64_t value) {
    if (in_box()) return edge(static_cast<double>(value));
    if (depth_ != 3 || field_ == Field::none) return true;
    if (field_ == Field::area) return set(area_, static_cast<double>(value));
    if (field_ == Field::name || field_ == Field::box) return other("a number");
    return set(numbers_[static_cast<std::size_t>(field_)], value);
  }
  bool edge(double value) {
    if (edges_ < 4) edge_values_[edges_] = value;
    ++edges_;
    return true;
  }
  /// A value of a kind that its field does not take.
  bool other(const char* what) const {
    if (in_box()) fail(fmt::format("bbox has {}, expected numbers", what));
    const bool needed = depth_ == 3 || (depth_ == 4 && field_ == Field::box);
    if (needed && field_ != Field::none && field_ != Field::area) {
      fail(fmt::format("found {}, expected {}", what,
                       field_ == Field::name  ? "text"
                       : field_ == Field::box ? "a list of four numbers"
                                              : "a whole number"));
    }
    return true;
  }

  void need(Field field, const char* key) const {
    if (!(given_ & bit(field))) {
      throw DataError(place(start_), fmt::format("has no \"{}\"", key));
    }
  }
  std::int64_t number(Field field) const { return numbers_[static_cast<std::size_t>(field)]; }

  int side(Field field, const char* key) const {
    need(field, key);
    const std::int64_t value = number(field);
    if (value < 1 || value > limits::kMaxImageSide) {
      throw DataError(place(start_),
                      fmt::format("{} {} is outside 1..{}", key, value, limits::kMaxImageSide));
    }
    return static_cast<int>(value);
  }

  void finish_record() {
    if (section_ == Section::none) return;
    if (section_ == Section::categories) {
      need(Field::id, "id");
      need(Field::name, "name");
      categories.push_back({number(Field::id), name_});
    } else if (section_ == Section::images) {
      need(Field::id, "id");
      need(Field::name, "file_name");
      images.push_back({number(Field::id),
                        name_,
                        side(Field::width, "width"),
                        side(Field::height, "height"),
                        {}});
    } else {
      need(Field::image, "image_id");
      need(Field::category, "category_id");
      need(Field::box, "bbox");
      boxes.push_back({given_ & bit(Field::id) ? number(Field::id)
                                               : -1 - static_cast<std::int64_t>(boxes.size()),
                       number(Field::image), number(Field::category), edge_values_, area_,
                       number(Field::crowd) != 0, start_});
    }
    field_ = Field::none;
  }

  std::string_view text_;
  const std::string& path_;
  const char* seen_;
  LineCounter lines_;
  int depth_ = 0;
  Section section_ = Section::none;
  Field field_ = Field::none;
  // The record that is being read.
  unsigned given_ = 0;
  Position start_;
  std::array<std::int64_t, 10> numbers_{};
  std::array<double, 4> edge_values_{};
  std::size_t edges_ = 0;
  double area_ = 0.0;
  std::string name_;
};

// Positions by id. Ids need not be contiguous, but each stands once.
template <typename T>
std::unordered_map<std::int64_t, std::size_t> by_id(const std::vector<T>& items, const char* what,
                                                    const std::string& path) {
  std::unordered_map<std::int64_t, std::size_t> positions;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!positions.emplace(items[i].id, i).second) {
      throw DataError(printable(path), fmt::format("two {} have the id {}", what, items[i].id));
    }
  }
  return positions;
}

void add_boxes(Handler& handler, const std::string& path, LabelPolicy& policy, CocoFile& file) {
  const auto categories = by_id(file.categories, "categories", path);
  const auto images = by_id(file.images, "images", path);
  std::unordered_set<std::int64_t> ids;
  for (const RawBox& raw : handler.boxes) {
    const auto place = [&] { return handler.place(raw.position); };
    if (!ids.insert(raw.id).second) {
      throw DataError(place(), fmt::format("two annotations have the id {}", raw.id));
    }
    const auto image = images.find(raw.image);
    if (image == images.end()) {
      policy.bad(place(), fmt::format("annotation {} is for the picture {}, which is not there",
                                      raw.id, raw.image));
      continue;
    }
    const auto category = categories.find(raw.category);
    if (category == categories.end()) {
      policy.bad(place(), fmt::format("unknown class {} of annotation {}; there are {} classes",
                                      raw.category, raw.id, file.categories.size()));
      continue;
    }
    CocoImage& picture = file.images[image->second];
    LabelBox label;
    label.category = static_cast<int>(category->second);
    label.crowd = raw.crowd;
    label.area = static_cast<float>(raw.area);
    const auto [x, y, w, h] = raw.box;
    if (policy.make_box({x, y, x + w, y + h}, picture.width, picture.height, kSlack, place(),
                        label.box)) {
      picture.boxes.push_back(label);
      LabelPolicy::check_count(picture.boxes.size(), printable(path));
    }
  }
}

std::vector<std::string> names_of(const std::vector<CocoCategory>& categories) {
  std::vector<std::string> names;
  for (const CocoCategory& category : categories) names.push_back(category.name);
  return names;
}

// One part; its classes must be those of `known`, when there are any.
std::shared_ptr<PictureStore> open_part(const SourceRequest& request, const std::string& file_name,
                                        const std::string& folder, int limit,
                                        std::vector<CocoCategory>& known) {
  const std::string path = request.dir + "/" + file_name;
  std::vector<std::uint8_t> bytes;
  read_file(path, limits::kMaxJsonFileBytes, bytes);
  CocoFile file =
      read_coco({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, *request.labels);
  if (known.empty()) {
    known = file.categories;
    for (std::size_t i = 0; i < known.size(); ++i) {
      spdlog::debug("data: class {} is category {}: {}", i, known[i].id, printable(known[i].name));
    }
  } else if (known != file.categories) {
    throw DataError(printable(path), "its categories are not those of the training part");
  }
  const std::vector<std::string> classes = names_of(file.categories);
  if (!request.spec.classes.empty() && request.spec.classes != classes) {
    throw DataError(printable(path), "its categories are not the classes of the data descriptor");
  }
  if (limit > 0 && file.images.size() > static_cast<std::size_t>(limit)) {
    file.images.resize(static_cast<std::size_t>(limit));
  }
  auto store = detection_store(request, request.dir + "/" + folder, classes);
  for (CocoImage& image : file.images) {
    if (image.boxes.empty()) ++request.labels->background;
    store->files.push_back(std::move(image.file));
    store->boxes.push_back(std::move(image.boxes));
    store->sizes.push_back({image.width, image.height});
    store->ids.push_back(image.id);
  }
  return store;
}

}  // namespace

CocoFile read_coco(std::string_view text, const std::string& path, LabelPolicy& policy) {
  Handler handler(text, path);
  const char* const end = text.data() + text.size();
  const Cursor first(text.data(), handler.seen()), last(end, handler.seen());
  json::sax_parse(first, last, &handler);
  CocoFile file;
  file.categories = std::move(handler.categories);
  std::sort(file.categories.begin(), file.categories.end(),
            [](const CocoCategory& a, const CocoCategory& b) { return a.id < b.id; });
  file.images = std::move(handler.images);
  if (file.images.empty() || file.categories.empty()) {
    throw DataError(printable(path), fmt::format("{} pictures and {} categories, expected some of "
                                                 "both",
                                                 file.images.size(), file.categories.size()));
  }
  if (file.categories.size() > static_cast<std::size_t>(limits::kMaxClasses)) {
    throw DataError(printable(path), fmt::format("{} categories, at most {} are accepted",
                                                 file.categories.size(), limits::kMaxClasses));
  }
  add_boxes(handler, path, policy, file);
  return file;
}

SourceParts open_coco(const SourceRequest& request) {
  const SourceSpec& source = request.source;
  const auto exists = [&](const std::string& name) {
    std::error_code error;
    return fs::exists(request.dir + "/" + name, error);
  };
  std::vector<CocoCategory> known;
  SourceParts parts;
  if (request.options.need_train) {
    parts.train =
        open_part(request, source.train, source.train_images, request.spec.train_limit, known);
  }
  if (exists(source.val)) {
    parts.val = open_part(request, source.val, source.val_images, 0, known);
  }
  if (exists(source.test)) {
    parts.test =
        open_part(request, source.test, source.test_images, request.spec.test_limit, known);
  }
  load_detection(request, parts);
  return parts;
}

}  // namespace daybreak
