// Known answers: FIPS 180-4 examples and NIST's long message; RFC 3720 B.4 for CRC-32C.
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "io/crc32c.h"
#include "io/sha256.h"

namespace daybreak {
namespace {

std::string sha(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(sha(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesDoNotMatter) {
  std::string text(1000, '\0');
  std::iota(text.begin(), text.end(), '\0');
  for (std::size_t length : {1u, 55u, 56u, 63u, 64u, 65u, 119u, 120u, 127u, 128u, 129u, 1000u}) {
    const std::string whole = sha(text.substr(0, length));
    for (std::size_t piece : {1u, 3u, 63u, 64u, 65u, 200u}) {
      Sha256 hash;
      for (std::size_t at = 0; at < length; at += piece) {
        hash.update(std::string_view(text).substr(at, std::min(piece, length - at)));
      }
      EXPECT_EQ(to_hex(hash.finish()), whole) << length << " bytes by " << piece;
    }
  }
}

TEST(Sha256, FastBlocksEqualPlainOnes) {
  std::vector<std::byte> data(64 * 37);
  std::uint32_t value = 1;
  for (std::byte& byte : data) {
    value = value * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(value >> 24);
  }
  std::array<std::uint32_t, 8> a = {1, 2, 3, 4, 5, 6, 7, 8}, b = a;
  detail::sha256_blocks(a, data.data(), 37);
  detail::sha256_blocks_plain(b, data.data(), 37);
  EXPECT_EQ(a, b);
}

TEST(Crc32c, KnownAnswers) {
  const auto crc = [](const std::string& text) { return crc32c(std::as_bytes(std::span(text))); };
  EXPECT_EQ(crc("123456789"), 0xE3069283u);
  EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc(std::string(32, '\xff')), 0x62A8AB43u);
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  EXPECT_EQ(crc(rising), 0x46DD794Eu);
  EXPECT_EQ(crc(""), 0u);
}

TEST(Crc32c, Mask) {
  const std::string text = "123456789";
  const std::uint32_t crc = 0xE3069283u;
  const std::uint32_t expected = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
  EXPECT_EQ(masked_crc32c(std::as_bytes(std::span(text))), expected);
}

}  // namespace
}  // namespace daybreak
