#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/error.h"
#include "data/bytes.h"
#include "data/formats.h"
#include "data/limits.h"
#include "data/picture_cache.h"

// What the three detection formats have in common.

namespace daybreak {

std::string at_line(const std::string& path, std::int64_t line) {
  return fmt::format("{}:{}", printable(path), line);
}

void for_lines(const std::string& path,
               const std::function<void(std::int64_t number, std::string_view line)>& take) {
  std::vector<std::uint8_t> bytes;
  read_file(path, limits::kMaxListFileBytes, bytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.find('\0') != std::string_view::npos) {
    throw DataError(printable(path), "holds binary data, expected text with a name a line");
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty()) take(number, line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::shared_ptr<PictureStore> detection_store(const SourceRequest& request, std::string root,
                                              std::vector<std::string> classes) {
  auto store = std::make_shared<PictureStore>();
  store->channels = request.input.channels;
  store->has_boxes = true;
  store->root = std::move(root);
  store->classes = std::move(classes);
  return store;
}

void load_detection(const SourceRequest& request, SourceParts& parts) {
  std::int64_t total = 0;
  for (const auto& store : {parts.train, parts.val, parts.test}) {
    if (!store) continue;
    DAYBREAK_ASSERT(store->boxes.size() == store->files.size());
    store->labels.assign(store->files.size(), 0);
    store->sizes.resize(store->files.size());
    total += static_cast<std::int64_t>(store->files.size());
  }
  request.labels->log(printable(request.dir));
  PictureCache cache(request.spec, request.input, request.options, total);
  for (const auto& store : {parts.train, parts.val, parts.test}) {
    if (store) cache.load(*store, *request.bad_inputs);
  }
  if (!parts.train) return;
  const auto& boxes = parts.train->boxes;
  if (std::all_of(boxes.begin(), boxes.end(), [](const auto& of) { return of.empty(); })) {
    throw DataError(
        printable(request.dir),
        fmt::format("no usable box in the {} pictures of the training part", boxes.size()));
  }
}

}  // namespace daybreak
