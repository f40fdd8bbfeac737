#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace daybreak {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Streaming SHA-256 (FIPS 180-4). Uses the CPU's SHA instructions where they exist.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// The digest of everything so far; the object must not be used afterwards.
  Sha256Digest finish();

 private:
  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, 64> block_;
  std::size_t filled_ = 0;
  std::uint64_t total_bytes_ = 0;
};

/// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Digest& digest);

/// The digest of one piece of memory as text.
std::string sha256_hex(std::span<const std::byte> bytes);

namespace detail {
/// The plain compression function over whole 64-byte blocks, for comparison with the fast one.
void sha256_blocks_plain(std::array<std::uint32_t, 8>& state, const std::byte* data,
                         std::size_t blocks);
/// The one this CPU uses.
void sha256_blocks(std::array<std::uint32_t, 8>& state, const std::byte* data, std::size_t blocks);
}  // namespace detail

}  // namespace daybreak
