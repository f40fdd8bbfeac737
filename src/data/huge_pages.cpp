#include "data/huge_pages.h"

#include <sys/mman.h>

namespace daybreak {

void grow_in_huge_pages(std::vector<std::uint8_t>& bytes, std::size_t size) {
  constexpr std::uintptr_t kPage = 2u << 20;
  std::vector<std::uint8_t> grown;
  grown.reserve(size);
  // Whole pages, before anything touches them.
  const auto begin = reinterpret_cast<std::uintptr_t>(grown.data());
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (begin + size) / kPage * kPage;
  if (end > first) {
    madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);  // a hint: may fail
  }
  grown.insert(grown.end(), bytes.begin(), bytes.end());
  grown.resize(size);
  bytes.swap(grown);
}

}  // namespace daybreak
