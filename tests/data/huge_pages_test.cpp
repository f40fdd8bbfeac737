#include "data/huge_pages.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace daybreak {
namespace {

TEST(HugePages, GrowingKeepsWhatIsThereAndAddsZeros) {
  std::vector<std::uint8_t> bytes;
  for (const std::size_t size :
       {0ul, 1ul, 4097ul, 3ul << 20, 9ul << 20}) {  // below and above a page
    std::vector<std::uint8_t> wanted = bytes;
    wanted.resize(size);
    grow_in_huge_pages(bytes, size);
    ASSERT_EQ(bytes, wanted) << size;
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
  }
}

TEST(HugePages, FewerBytesAreTheFirstOnes) {
  std::vector<std::uint8_t> bytes(100);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  grow_in_huge_pages(bytes, 7);
  EXPECT_EQ(bytes, (std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace daybreak
