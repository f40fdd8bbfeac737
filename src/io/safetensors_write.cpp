#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/sha256.h"

namespace daybreak {
namespace {

constexpr std::size_t kDigestDigits = 64;

/// A file before it is written: the header with its length, and the tensors in their order.
struct Image {
  std::string header;
  std::size_t digest_at = std::string::npos;  ///< of the 64 digits in `header`
  std::vector<const TensorView*> order;
  std::uint64_t total_bytes = 0;
};

std::string json_string(const std::string& text) {
  // Paths in metadata may hold any bytes; what is not UTF-8 becomes U+FFFD.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void check_tensor(const TensorView& tensor) {
  std::uint64_t bytes = element_size(tensor.type);
  for (const std::int64_t dim : tensor.dims) bytes *= static_cast<std::uint64_t>(dim);
  DAYBREAK_ASSERT(bytes == tensor.bytes.size());
}

Image make_image(std::span<const TensorView> tensors, const Metadata& metadata, Digest digest) {
  Image image;
  std::unordered_set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    check_tensor(tensor);
    DAYBREAK_ASSERT(tensor.name != "__metadata__" && names.insert(tensor.name).second);
    image.order.push_back(&tensor);
  }
  std::stable_sort(image.order.begin(), image.order.end(), [](const auto* a, const auto* b) {
    return element_size(a->type) > element_size(b->type);
  });
  std::string json = "{";
  if (!metadata.empty() || digest != Digest::none) {
    json += "\"__metadata__\":{";
    const char* comma = "";
    if (digest == Digest::sha256) {
      json += fmt::format("\"digest\":\"{}\"", std::string(kDigestDigits, '0'));
      image.digest_at = sizeof(std::uint64_t) + json.size() - 1 - kDigestDigits;
      comma = ",";
    }
    for (const auto& [key, value] : metadata) {
      DAYBREAK_ASSERT(digest == Digest::none || key != "digest");
      json += fmt::format("{}{}:{}", comma, json_string(key), json_string(value));
      comma = ",";
    }
    json += '}';
  }
  std::uint64_t offset = 0;
  for (const TensorView* tensor : image.order) {
    if (json.size() > 1) json += ',';
    const std::uint64_t end = offset + tensor->bytes.size();
    json += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        json_string(tensor->name), to_string(tensor->type),
                        fmt::join(tensor->dims, ","), offset, end);
    offset = end;
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  for (int i = 0; i < 8; ++i) image.header += static_cast<char>(json.size() >> (8 * i));
  image.header += json;
  image.total_bytes = image.header.size() + offset;
  return image;
}

/// Puts the digest of the whole file into its field.
void seal(Image& image) {
  Sha256 hash;
  hash.update(image.header);
  for (const TensorView* tensor : image.order) hash.update(tensor->bytes);
  image.header.replace(image.digest_at, kDigestDigits, to_hex(hash.finish()));
}

}  // namespace

std::uint64_t safetensors_size(std::span<const TensorView> tensors, const Metadata& metadata,
                               Digest digest) {
  return make_image(tensors, metadata, digest).total_bytes;
}

void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const Metadata& metadata, Digest digest) {
  Image image = make_image(tensors, metadata, digest);
  if (digest == Digest::sha256) seal(image);
  AtomicFile file(path, image.total_bytes);
  Sha256 written;
  const auto write = [&](std::span<const std::byte> bytes) {
    file.write(bytes);
    if (digest == Digest::sha256) written.update(bytes);
  };
  write(std::as_bytes(std::span(image.header)));
  for (const TensorView* tensor : image.order) write(tensor->bytes);
  if (digest == Digest::sha256) {
    Sha256 found;
    file.read_back([&](std::span<const std::byte> bytes) { found.update(bytes); });
    if (found.finish() != written.finish()) {
      throw DeviceError(fmt::format(
          "{}: error: reading back gives other bytes than were written (is the disk failing?)",
          path));
    }
  }
  file.commit();
}

}  // namespace daybreak
