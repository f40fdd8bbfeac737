#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <pugixml.hpp>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

constexpr double kSlack = 1.0;  // pixels: what rounding may put outside

/// Lines of offsets, cheap when they come in ascending order.
class LineCounter {
 public:
  explicit LineCounter(std::string_view text) : text_(text) {}

  int at(std::ptrdiff_t offset) {
    const std::size_t end =
        std::min(text_.size(), static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, offset)));
    if (end < counted_) {
      counted_ = 0;
      line_ = 1;
    }
    const auto begin = text_.begin();
    line_ += static_cast<int>(std::count(begin + static_cast<std::ptrdiff_t>(counted_),
                                         begin + static_cast<std::ptrdiff_t>(end), '\n'));
    counted_ = end;
    return line_;
  }

 private:
  std::string_view text_;
  std::size_t counted_ = 0;
  int line_ = 1;
};

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The reader of one annotation file.
class Annotation {
 public:
  Annotation(std::string_view text, const std::string& path, LabelPolicy& policy)
      : text_(text), path_(path), policy_(policy), lines_(text) {}

  VocFile read() {
    if (const std::size_t doctype = text_.find("<!DOCTYPE"); doctype != std::string_view::npos) {
      fail(static_cast<std::ptrdiff_t>(doctype), "a DOCTYPE is not accepted");
    }
    pugi::xml_document document;
    const pugi::xml_parse_result result =
        document.load_buffer(text_.data(), text_.size(), pugi::parse_default, pugi::encoding_utf8);
    if (!result) fail(result.offset, fmt::format("not well-formed XML: {}", result.description()));
    const pugi::xml_node root = document.child("annotation");
    if (!root) fail(0, "has no <annotation>");
    VocFile file;
    if (const pugi::xml_node size = root.child("size")) {
      file.width = side(size, "width");
      file.height = side(size, "height");
    }
    for (const pugi::xml_node object : root.children("object")) {
      read_object(object, file.objects);
      if (file.objects.size() > limits::kMaxBoxes) {
        LabelPolicy::check_count(file.objects.size(), place(object));
      }
    }
    return file;
  }

 private:
  [[noreturn]] void fail(std::ptrdiff_t offset, const std::string& text) {
    throw DataError(at_line(path_, lines_.at(offset)), text);
  }
  std::string place(const pugi::xml_node& node) {
    return at_line(path_, lines_.at(node.offset_debug()));
  }

  int side(const pugi::xml_node& size, const char* name) {
    const pugi::xml_node node = size.child(name);
    const auto value = parse_int(trimmed(node.child_value()));
    if (!node || !value || *value < 0 || *value > limits::kMaxImageSide) {
      fail((node ? node : size).offset_debug(),
           fmt::format("<{}> of the picture is {}, expected 0..{}", name, quote(node.child_value()),
                       limits::kMaxImageSide));
    }
    return static_cast<int>(*value);
  }

  bool read_edge(const pugi::xml_node& box, const char* name, double& edge) {
    const pugi::xml_node node = box.child(name);
    const auto value = parse_double(trimmed(node.child_value()));
    if (!node || !value) {
      policy_.bad(place(node ? node : box),
                  fmt::format("<{}> is {}, expected a number", name, quote(node.child_value())));
      return false;
    }
    edge = *value;
    return true;
  }

  void read_object(const pugi::xml_node& node, std::vector<VocObject>& objects) {
    VocObject object;
    object.line = lines_.at(node.offset_debug());
    object.name = trimmed(node.child_value("name"));
    const pugi::xml_node box = node.child("bndbox");
    if (object.name.empty() || !box) {
      policy_.bad(place(node), fmt::format("<object> without <{}>", box ? "name" : "bndbox"));
      return;
    }
    const std::string_view difficult = trimmed(node.child_value("difficult"));
    if (!difficult.empty() && difficult != "0" && difficult != "1") {
      policy_.bad(place(node), fmt::format("<difficult> is {}, expected 0 or 1", quote(difficult)));
      return;
    }
    object.difficult = difficult == "1";
    Corners& c = object.corners;
    if (!read_edge(box, "xmin", c.x0) || !read_edge(box, "ymin", c.y0) ||
        !read_edge(box, "xmax", c.x1) || !read_edge(box, "ymax", c.y1)) {
      return;
    }
    // Pixels are counted from 1 and both corners belong to the box.
    c.x0 -= 1.0;
    c.y0 -= 1.0;
    if (c.x1 <= c.x0 || c.y1 <= c.y0) {
      policy_.bad(place(box), fmt::format("box [{}, {}, {}, {}] (xmin, ymin, xmax, ymax) has a "
                                          "negative size",
                                          c.x0 + 1, c.y0 + 1, c.x1, c.y1));
      return;
    }
    objects.push_back(std::move(object));
  }

  std::string_view text_;
  const std::string& path_;
  LabelPolicy& policy_;
  LineCounter lines_;
};

// A part while classes are not known yet.
struct Part {
  std::vector<std::string> names;  // as the list has them
  std::vector<VocFile> files;
};

std::string existing_picture(const std::string& dir, const std::string& name) {
  for (const char* extension : {".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"}) {
    std::error_code error;
    if (fs::exists(dir + "/JPEGImages/" + name + extension, error)) return name + extension;
  }
  return name + ".jpg";  // opening it tells what is wrong
}

Part read_part(const SourceRequest& request, const std::string& list, int limit) {
  Part part;
  std::size_t without = 0;
  std::vector<std::uint8_t> bytes;
  for_lines(list, [&](std::int64_t number, std::string_view name) {
    if (limit > 0 && part.names.size() == static_cast<std::size_t>(limit)) return;
    if (name.find_first_of(" \t") != std::string_view::npos) {
      throw DataError(at_line(list, number),
                      fmt::format("{}: expected the name of one picture", quote(name)));
    }
    part.names.emplace_back(name);
    part.files.emplace_back();
    const std::string path = request.dir + "/Annotations/" + part.names.back() + ".xml";
    std::error_code error;
    if (!fs::exists(path, error)) {
      ++without;
      return;
    }
    read_file(path, limits::kMaxLabelFileBytes, bytes);
    part.files.back() = read_voc({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path,
                                 *request.labels);
  });
  if (part.names.empty()) throw DataError(printable(list), "names no picture");
  if (without == part.names.size()) {
    throw DataError(
        printable(request.dir + "/Annotations/" + part.names.front() + ".xml"),
        fmt::format("is not there, nor is any other of the {} in {}", without, printable(list)));
  }
  return part;
}

std::vector<std::string> gather_classes(const Part& part, const std::string& list) {
  std::set<std::string> names;
  for (const VocFile& file : part.files) {
    for (const VocObject& object : file.objects) names.insert(object.name);
  }
  if (names.empty() || names.size() > static_cast<std::size_t>(limits::kMaxClasses)) {
    throw DataError(printable(list), fmt::format("its pictures have {} classes", names.size()));
  }
  return {names.begin(), names.end()};
}

// Fractions need the picture's size; a file that does not say it is asked itself.
void complete_size(VocFile& file, const std::string& picture) {
  if (file.width > 0 && file.height > 0) return;
  std::vector<std::uint8_t> bytes;
  read_file(picture, limits::kMaxImageFileBytes, bytes);
  const ImageInfo info = probe_image(bytes, picture);
  file.width = info.w;
  file.height = info.h;
}

std::shared_ptr<PictureStore> make_store(const SourceRequest& request, Part part,
                                         const std::vector<std::string>& classes) {
  auto store = detection_store(request, request.dir + "/JPEGImages", classes);
  std::map<std::string, int> numbers;
  for (std::size_t i = 0; i < classes.size(); ++i) numbers[classes[i]] = static_cast<int>(i);
  LabelPolicy& policy = *request.labels;
  for (std::size_t i = 0; i < part.names.size(); ++i) {
    VocFile& file = part.files[i];
    const std::string label = request.dir + "/Annotations/" + part.names[i] + ".xml";
    store->files.push_back(existing_picture(request.dir, part.names[i]));
    if (!file.objects.empty()) complete_size(file, store->root + "/" + store->files.back());
    std::vector<LabelBox> boxes;
    for (const VocObject& object : file.objects) {
      const std::string place = at_line(label, object.line);
      const auto number = numbers.find(object.name);
      LabelBox box;
      box.difficult = object.difficult;
      if (number == numbers.end()) {
        policy.unknown_class(place, quote(object.name), classes);
        continue;
      }
      box.category = number->second;
      if (policy.make_box(object.corners, file.width, file.height, kSlack, place, box.box)) {
        boxes.push_back(box);
      }
    }
    if (boxes.empty()) ++policy.background;
    store->boxes.push_back(std::move(boxes));
    store->sizes.push_back({file.width, file.height});
  }
  return store;
}

}  // namespace

VocFile read_voc(std::string_view text, const std::string& path, LabelPolicy& policy) {
  return Annotation(text, path, policy).read();
}

SourceParts open_voc(const SourceRequest& request) {
  const auto list = [&](const std::string& name) {
    return request.dir + "/ImageSets/Main/" + name + ".txt";
  };
  const auto exists = [](const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
  };
  const SourceSpec& source = request.source;
  std::vector<std::string> classes = request.spec.classes;
  SourceParts parts;
  // Unnamed classes are those of the training part, so that a test alone numbers them alike.
  if (request.options.need_train || classes.empty()) {
    Part part = read_part(request, list(source.train), request.spec.train_limit);
    if (classes.empty()) classes = gather_classes(part, list(source.train));
    if (request.options.need_train) parts.train = make_store(request, std::move(part), classes);
  }
  if (exists(list(source.val))) {
    parts.val = make_store(request, read_part(request, list(source.val), 0), classes);
  }
  if (exists(list(source.test))) {
    parts.test = make_store(request, read_part(request, list(source.test), request.spec.test_limit),
                            classes);
  }
  load_detection(request, parts);
  return parts;
}

}  // namespace daybreak
