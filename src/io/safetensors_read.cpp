#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/checked_size.h"
#include "core/error.h"
#include "core/text.h"
#include "io/half.h"
#include "io/limits.h"
#include "io/safetensors.h"
#include "io/sha256.h"

namespace daybreak {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

/// Length of the JSON text, checked against the file.
std::uint64_t read_header_length(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < kLengthBytes) {
    throw DataError(path,
                    fmt::format("has {} bytes, a safetensors file has at least 8", file.size()));
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  }
  if (length > kMaxSafetensorsHeaderBytes) {
    throw DataError(path, 0,
                    fmt::format("the header claims {} bytes, at most {} are accepted (is this "
                                "a safetensors file?)",
                                length, kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) {
    throw DataError(path, 0,
                    fmt::format("the header claims {} bytes, but only {} follow", length,
                                file.size() - kLengthBytes));
  }
  return length;
}

/// Sorts the tensors by place and checks sizes, holes, overlaps and the end of the file.
void check_offsets(std::vector<TensorInfo>& tensors, std::uint64_t data_bytes,
                   const std::string& path) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t expected_begin = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin != expected_begin || tensor.end < tensor.begin) {
      throw DataError(path,
                      fmt::format("tensor {} lies at [{}, {}], expected to begin at {} (holes, "
                                  "overlaps and reversed offsets are not accepted)",
                                  quote(tensor.name), tensor.begin, tensor.end, expected_begin));
    }
    CheckedSize bytes = element_size(tensor.type);
    for (const std::int64_t dim : tensor.dims) bytes = bytes * static_cast<std::uint64_t>(dim);
    if (!bytes.equals(tensor.end - tensor.begin)) {
      throw DataError(
          path,
          fmt::format("tensor {} has {} bytes, but {} {} needs {}", quote(tensor.name),
                      tensor.end - tensor.begin, to_string(tensor.type), format_dims(tensor.dims),
                      bytes.value() ? fmt::to_string(*bytes.value()) : "more than 2^64"));
    }
    expected_begin = tensor.end;
  }
  if (expected_begin != data_bytes) {
    throw DataError(path,
                    fmt::format("has {} bytes of tensors, the header describes {} ({})", data_bytes,
                                expected_begin,
                                expected_begin > data_bytes ? "is the file cut short?"
                                                            : "something follows the last tensor"));
  }
}

template <typename Stored, typename Convert>
void convert_elements(std::span<const std::byte> bytes, std::span<float> into, Convert convert) {
  for (std::size_t i = 0; i < into.size(); ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    into[i] = convert(value);
  }
}

template <typename Stored>
void cast_elements(std::span<const std::byte> bytes, std::span<float> into) {
  convert_elements<Stored>(bytes, into, [](Stored value) { return static_cast<float>(value); });
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  return parse(read_whole_file(path), path);
}

SafetensorsFile SafetensorsFile::parse(FileBytes bytes, std::string path) {
  SafetensorsFile file;
  file.path_ = std::move(path);
  file.file_ = std::move(bytes);
  const std::span<const std::byte> all = file.file_.span();
  const std::uint64_t length = read_header_length(all, file.path_);
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  detail::SafetensorsHeader header =
      detail::parse_safetensors_header(text, file.path_, kLengthBytes);
  file.header_bytes_ = kLengthBytes + length;
  file.tensors_ = std::move(header.tensors);
  file.metadata_ = std::move(header.metadata);
  check_offsets(file.tensors_, all.size() - file.header_bytes_, file.path_);
  for (std::size_t i = 0; i < file.tensors_.size(); ++i)
    file.index_.emplace(file.tensors_[i].name, i);
  return file;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto it = index_.find(std::string(name));
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

std::optional<std::string> SafetensorsFile::metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.span().subspan(static_cast<std::size_t>(header_bytes_ + tensor.begin),
                              static_cast<std::size_t>(tensor.end - tensor.begin));
}

std::vector<float> SafetensorsFile::read_f32(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor != nullptr) return read_f32(*tensor);
  std::vector<std::string> names;
  for (const TensorInfo& candidate : tensors_) names.push_back(candidate.name);
  const std::optional<std::string> nearest = nearest_name(name, names);
  throw DataError(path_, fmt::format("has no tensor {}{}", quote(name),
                                     nearest ? ", the nearest name is " + quote(*nearest) : ""));
}

std::vector<float> SafetensorsFile::read_f32(const TensorInfo& tensor) const {
  std::vector<float> values(static_cast<std::size_t>(tensor.count()));
  const std::span<const std::byte> stored = bytes(tensor);
  switch (tensor.type) {
    case TensorType::f32:
      copy_f32(tensor, values);
      break;
    case TensorType::f16:
      convert_elements<std::uint16_t>(stored, values, f16_to_f32);
      break;
    case TensorType::bf16:
      convert_elements<std::uint16_t>(stored, values, bf16_to_f32);
      break;
    case TensorType::f64:
      cast_elements<double>(stored, values);
      break;
    case TensorType::boolean:
    case TensorType::u8:
      cast_elements<std::uint8_t>(stored, values);
      break;
    case TensorType::i8:
      cast_elements<std::int8_t>(stored, values);
      break;
    case TensorType::i16:
      cast_elements<std::int16_t>(stored, values);
      break;
    case TensorType::u16:
      cast_elements<std::uint16_t>(stored, values);
      break;
    case TensorType::i32:
      cast_elements<std::int32_t>(stored, values);
      break;
    case TensorType::u32:
      cast_elements<std::uint32_t>(stored, values);
      break;
    case TensorType::i64:
      cast_elements<std::int64_t>(stored, values);
      break;
    case TensorType::u64:
      cast_elements<std::uint64_t>(stored, values);
      break;
  }
  return values;
}

void SafetensorsFile::copy_f32(const TensorInfo& tensor, std::span<float> into) const {
  const std::span<const std::byte> stored = bytes(tensor);
  DAYBREAK_ASSERT(tensor.type == TensorType::f32 && into.size_bytes() == stored.size());
  if (!stored.empty()) std::memcpy(into.data(), stored.data(), stored.size());
}

DigestState SafetensorsFile::check_digest() const {
  const std::optional<std::string> stored = metadata("digest");
  if (!stored) return DigestState::absent;
  const std::string zeros(64, '0');
  if (stored->size() != zeros.size()) return DigestState::differs;
  const std::span<const std::byte> all = file_.span();
  const std::string_view header(reinterpret_cast<const char*>(all.data()),
                                static_cast<std::size_t>(header_bytes_));
  const std::optional<std::size_t> at = detail::find_digest(header, *stored);
  if (!at) return DigestState::differs;
  Sha256 hash;
  hash.update(all.first(*at));
  hash.update(zeros);
  hash.update(all.subspan(*at + zeros.size()));
  return to_hex(hash.finish()) == *stored ? DigestState::matches : DigestState::differs;
}

}  // namespace daybreak
