#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daybreak {

/// Reads a whole regular file into `out`, reusing its memory. Throws DataError when the file is
/// missing, unreadable, no regular file (a FIFO would block), or larger than `max_bytes`.
void read_file(const std::string& path, std::uint64_t max_bytes, std::vector<std::uint8_t>& out);

/// Reads at most `count` bytes from the start of a regular file; returns the file's size.
std::uint64_t read_file_start(const std::string& path, std::size_t count,
                              std::vector<std::uint8_t>& out);

/// Text for a message: bytes below 0x20 and 0x7f are written as \xNN, so a message stays one line.
std::string printable(std::string_view text);

/// What a file looks like, for messages: "starts with 3c 21 44 4f (an HTML page?)".
std::string describe_start(std::span<const std::uint8_t> bytes);

/// Big-endian 32-bit number; the caller has checked that 4 bytes are there.
constexpr std::uint32_t big_endian32(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

/// Bytes this process may still take: free memory, limited by the control group.
std::uint64_t available_memory();

}  // namespace daybreak
