#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/posix_file.h"

// safetensors: u64 little-endian header length, a JSON header padded with spaces to 8 bytes, then
// the tensors' bytes, row-major and little-endian, without holes.

namespace daybreak {

/// Element types of the format that we read and write.
enum class TensorType : std::uint8_t {
  boolean,
  u8,
  i8,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64
};

/// "F32" and so on, as the header spells it.
const char* to_string(TensorType type);
std::size_t element_size(TensorType type);

/// The header's string map in the order of the file.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// A tensor to be written. The bytes stay the caller's.
struct TensorView {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> dims;
  std::span<const std::byte> bytes;
};

/// A tensor of an open file: [begin, end) are offsets behind the header.
struct TensorInfo {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> dims;
  std::uint64_t begin = 0, end = 0;

  std::int64_t count() const {
    return static_cast<std::int64_t>((end - begin) / element_size(type));
  }
};

/// What comparing the stored digest with the bytes gives.
enum class DigestState : std::uint8_t { absent, matches, differs };

/// A safetensors file, fully validated when it was opened: the header is well-formed, every size
/// agrees with type and shape, offsets have neither holes nor overlaps, nothing follows the data.
class SafetensorsFile {
 public:
  /// Reads and validates a file; DataError with path and byte offset otherwise.
  static SafetensorsFile open(const std::string& path);
  /// The same over bytes in memory; `path` is for messages only.
  static SafetensorsFile parse(FileBytes bytes, std::string path);

  const std::string& path() const { return path_; }
  /// In the order of their bytes.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;
  const Metadata& metadata() const { return metadata_; }
  std::optional<std::string> metadata(std::string_view key) const;

  /// The stored bytes of a tensor, of any alignment.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  /// The values as float: exact for F16, BF16 and F32, rounded to nearest for the others. DataError
  /// naming the nearest tensor when there is none of this name.
  std::vector<float> read_f32(std::string_view name) const;
  std::vector<float> read_f32(const TensorInfo& tensor) const;
  /// The values of an F32 tensor, bit for bit, into memory of exactly count() floats.
  void copy_f32(const TensorInfo& tensor, std::span<float> into) const;

  /// Compares the digest write_safetensors(..., Digest::sha256) stored with the file's bytes.
  DigestState check_digest() const;

 private:
  std::string path_;
  FileBytes file_;
  std::uint64_t header_bytes_ = 0;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  Metadata metadata_;
};

/// sha256: a metadata entry "digest", the SHA-256 of the whole file with the 64 digits as zeros;
/// after writing, the file is read back and compared with it.
enum class Digest : std::uint8_t { none, sha256 };

/// Bytes the file will have.
std::uint64_t safetensors_size(std::span<const TensorView> tensors, const Metadata& metadata,
                               Digest digest);

/// Writes a file atomically (see AtomicFile). Tensors are stored by falling element size, else in
/// the given order, so that every tensor is aligned. Throws DeviceError.
void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const Metadata& metadata, Digest digest = Digest::none);

namespace detail {
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of the JSON text
  Metadata metadata;
};
/// Parses the JSON text alone. `offset` is that of the text in the file, for messages.
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& path,
                                           std::uint64_t offset);
/// Position of the digest's 64 digits in a header, when it has exactly one digest as we write it.
std::optional<std::size_t> find_digest(std::string_view header, std::string_view digits);
}  // namespace detail

}  // namespace daybreak
